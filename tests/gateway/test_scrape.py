"""Triton's metrics."""

import socket
import threading
from collections.abc import Iterator
from http.server import HTTPServer

import pytest

from gateway.errors import TritonUnavailable
from gateway.scrape import parse_loaded, scrape
from tests.stand_in import Quiet, standing_in

TEXT = """\
# HELP nv_inference_pending_request_count Instantaneous number of pending requests
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="vgg16",version="1"} 0
nv_inference_pending_request_count{model="vgg16",version="2"} 3
nv_inference_count{model="old",version="7"} 12
# TYPE edgelens_model_info gauge
edgelens_model_info{engine="openvino",model="vgg16",precision="bf16",version="2",weights="x"} 1
this line is no metric
"""


class Handler(Quiet):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 500)
        self.end_headers()
        self.wfile.write(TEXT.encode())


@pytest.fixture
def url() -> Iterator[str]:
    with standing_in(Handler) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_loaded_versions_and_their_precision_are_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # for the internet, not for Triton
    loaded = scrape(url + "/metrics")
    assert loaded.versions == {("vgg16", "1"), ("vgg16", "2")}
    assert loaded.info["vgg16", "2"]["precision"] == "bf16"


def test_metrics_without_models_load_nothing() -> None:
    assert parse_loaded("").versions == frozenset()


def test_metrics_that_cannot_be_had_are_triton_unavailable(url: str) -> None:
    odd = "http://127.0.0.1:80a/metrics"
    for address in (url + "/nothing", "http://127.0.0.1:9/metrics", odd):
        with pytest.raises(TritonUnavailable):
            scrape(address)


class Cut(Quiet):
    """Answer half a line, a line that trips the parser, half a chunk, a page, or no HTTP."""

    def do_GET(self) -> None:
        if self.path == "/line":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'nv_inference_count{model="vgg16",ver')
        elif self.path == "/odd":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.wfile.write(b'nv_inference_count{model="vgg16",\t="1"} 0\n')
        elif self.path == "/chunk":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nnv")
        elif self.path == "/proxy":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n<html>Sign in</html>")
        else:
            self.wfile.write(b"\x00\x00\x12\x04\x00")


@pytest.mark.parametrize("path", ["/line", "/odd", "/chunk", "/proxy", "/binary"])
def test_an_answer_that_cannot_be_read_is_triton_unavailable(path: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Cut) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(TritonUnavailable):
            scrape(f"http://127.0.0.1:{server.server_port}{path}")
        thread.join(10)


def test_metrics_that_never_come_are_triton_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.scrape.TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TritonUnavailable):
        scrape(f"http://127.0.0.1:{silent.getsockname()[1]}/metrics")


def test_what_a_version_has_inferred_is_counted() -> None:
    labels = '{model="a",version="2"}'
    text = f"nv_inference_count{labels} 7\nnv_inference_exec_count{labels} 3\n"
    assert parse_loaded(text).inferred == {("a", "2"): 7.0}
