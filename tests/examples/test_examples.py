"""Runs every example as a reader would, against the real server."""

import csv
import io
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.e2e.conftest import running_gateway
from tests.lite import MODEL
from tests.photos import DATA, photos
from tests.places import GATEWAY_PYTHON, HOME
from tests.servers import Running

EXAMPLES = HOME / "examples"
NODE = EXAMPLES / "node"
SECONDS = 120
BAR = 40  # characters
PHOTOS = photos()[:3]
PATHS = [str(photo.path) for photo in PHOTOS]
COVERED = {
    "camera.py",
    "gateway_client.py",
    "http_client.py",
    "grpc_client.py",
    "async_http.py",
    "async_grpc.py",
    "many_pictures.py",
    "shared_memory.py",
    "curl.sh",
    "client.js",
}


def run(*command: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
    )


def python(name: str, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, "-W", "error", EXAMPLES / name, *arguments, **env)


def assert_names_every_photo(finished: "subprocess.CompletedProcess[str]") -> None:
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == len(PHOTOS)
    for line, photo in zip(lines, PHOTOS, strict=True):
        assert line.startswith(f"{photo.path}: {photo.wnid} {photo.label} (")


@pytest.mark.parametrize("name", sorted(name for name in COVERED if name.endswith(".py")))
def test_the_help_shows_the_command_once_and_the_default_server(name: str) -> None:
    said = python(name, "--help").stdout
    assert said.count(name) == 1
    assert re.search(r"--url URL +default: \S+:\d+\n", said)


def test_the_gateways_client_names_every_photo(gateway_url: str, tmp_path: Path) -> None:
    assert_names_every_photo(python("gateway_client.py", "--url", gateway_url, *PATHS))
    (tmp_path / "text.jpg").write_text("no picture")
    refused = python("gateway_client.py", "--url", gateway_url, str(tmp_path / "text.jpg"))
    assert refused.returncode == 1
    assert refused.stderr.startswith("gateway_client.py: ")
    assert "not a picture" in refused.stderr


def test_the_gateways_client_takes_labels_of_your_own(stand_in_url: str) -> None:
    refused = python("gateway_client.py", "--url", stand_in_url, PATHS[0])
    assert refused.stderr.endswith("answers 502 Bad Gateway\n")
    named = python("gateway_client.py", "--url", stand_in_url, PATHS[0])
    assert named.stdout == f"{PATHS[0]}: bolt (100.0%)\n"


def test_the_gateways_clients_send_its_key(triton: Running, tmp_path: Path) -> None:
    file, photo = tmp_path / "api-keys", PATHS[0]
    key = run(GATEWAY_PYTHON, "-m", "gateway.keys", "--file", file, "add", "alice").stdout.strip()
    with running_gateway(triton, API_KEYS_FILE=str(file)) as gateway:
        addresses = {"GATEWAY": gateway.url, "TRITON": f"http://127.0.0.1:{triton.http_port}"}
        for command in (
            [sys.executable, EXAMPLES / "gateway_client.py", "--url", gateway.url, photo],
            [sys.executable, EXAMPLES / "camera.py", "--url", gateway.url, photo],
            [EXAMPLES / "curl.sh", photo],
        ):
            refused = run(*command, **addresses)
            assert refused.returncode != 0
            assert "An API key is required" in refused.stdout + refused.stderr
            named = run(*command, **addresses, API_KEY=key)
            assert named.returncode == 0, named.stderr
            assert PHOTOS[0].wnid in named.stdout


@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("name", ["http_client.py", "async_http.py"])
def test_http_clients_name_every_photo(triton: Running, name: str, scheme: str) -> None:
    url = f"{scheme}127.0.0.1:{triton.http_port}"
    assert_names_every_photo(python(name, "--url", url, *PATHS))


@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("name", ["grpc_client.py", "async_grpc.py"])
def test_grpc_clients_name_every_photo(triton: Running, name: str, scheme: str) -> None:
    url = f"{scheme}127.0.0.1:{triton.grpc_port}"
    assert_names_every_photo(python(name, "--url", url, *PATHS))


@pytest.mark.parametrize(
    "name",
    [
        "http_client.py",
        "async_http.py",
        "grpc_client.py",
        "async_grpc.py",
        "many_pictures.py",
        "shared_memory.py",
    ],
)
def test_an_address_with_another_scheme_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    shutil.copy(PATHS[0], tmp_path)
    refused = python(name, "--url", "https://127.0.0.1:8000", str(tmp_path))
    assert refused.returncode == 2
    wanted = "--url must be HOST:PORT or http://HOST:PORT"
    assert refused.stderr.splitlines()[-1] == f"{name}: error: {wanted}"


@pytest.mark.parametrize("name", ["gateway_client.py", "camera.py"])
def test_an_address_without_a_scheme_is_refused_in_a_line(name: str) -> None:
    refused = python(name, "--url", "127.0.0.1:5000", PATHS[0])
    assert refused.returncode == 2
    wanted = "--url must begin with http:// or https://"
    assert refused.stderr.splitlines()[-1] == f"{name}: error: {wanted}"


def test_shared_memory_names_every_photo_with_the_key_and_leaves_nothing(triton: Running) -> None:
    url = f"http://127.0.0.1:{triton.grpc_port}"
    finished = python("shared_memory.py", "--url", url, *PATHS, TRITON_ADMIN_KEY=triton.admin_key)
    assert_names_every_photo(finished)
    assert not list(Path("/dev/shm").glob("edgelens_example_*"))


def test_shared_memory_is_closed_without_the_key(triton: Running) -> None:
    url = f"127.0.0.1:{triton.grpc_port}"
    finished = python("shared_memory.py", "--url", url, *PATHS, TRITON_ADMIN_KEY="wrong-key")
    assert finished.returncode != 0
    assert "This protocol is restricted" in finished.stderr
    assert not list(Path("/dev/shm").glob("edgelens_example_*"))


def test_many_pictures_writes_a_table_and_shows_a_bar(triton: Running) -> None:
    url = f"http://127.0.0.1:{triton.grpc_port}"
    finished = python("many_pictures.py", "--url", url, str(DATA / "photos"))
    assert finished.returncode == 0, finished.stderr
    table = list(csv.DictReader(io.StringIO(finished.stdout)))
    found = {Path(row["picture"]).name: row["label"].split(" ")[0] for row in table}
    assert found == {photo.path.name: photo.wnid for photo in photos()}
    assert f"{len(table)}/{len(table)}" in finished.stderr


def test_many_pictures_gives_a_broken_one_its_own_error(triton: Running, tmp_path: Path) -> None:
    url = f"127.0.0.1:{triton.grpc_port}"
    directory = tmp_path / "pictures"
    shutil.copytree(DATA / "odd_images", directory)
    (directory / "dangling.jpg").symlink_to("nowhere")
    finished = python("many_pictures.py", "--url", url, str(directory))
    assert finished.returncode == 0, finished.stderr
    rows = {Path(row["picture"]).name: row for row in csv.DictReader(io.StringIO(finished.stdout))}
    assert "not a picture" in rows["text.jpg"]["error"]
    assert not rows["text.jpg"]["label"]
    assert rows["dangling.jpg"]["error"] == "No such file or directory"
    assert not rows["plain.jpg"]["error"]
    assert rows["plain.jpg"]["label"].endswith("bison")


def test_what_cannot_be_answered_is_said_in_a_line(triton: Running, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    http, grpc_address = (f"127.0.0.1:{port}" for port in (triton.http_port, triton.grpc_port))
    for name, url in (("http_client.py", http), ("grpc_client.py", grpc_address)):
        finished = python(name, "--url", url, str(text))
        assert finished.returncode == 1
        assert finished.stderr.startswith(f"{name}: ")
        assert "not a picture" in finished.stderr
    for name, url in (("async_http.py", http), ("async_grpc.py", grpc_address)):
        finished = python(name, "--url", url, str(text), PATHS[0], "missing.jpg")
        assert finished.returncode == 1
        [named] = finished.stdout.splitlines()
        assert PHOTOS[0].wnid in named
        assert sorted(line.split(": ")[0] for line in finished.stderr.splitlines()) == sorted(
            [str(text), "missing.jpg"]
        )


@pytest.mark.parametrize("name", ["http_client.py", "async_http.py"])
def test_a_server_that_is_not_triton_is_said_in_a_line(
    triton: Running, gateway_url: str, name: str
) -> None:
    said = python(name, "--url", gateway_url, PATHS[0])
    assert "/docs describes the API" in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


def test_a_server_that_speaks_no_http_is_said_in_a_line(triton: Running) -> None:
    for name in ("http_client.py", "async_http.py"):
        said = python(name, "--url", f"127.0.0.1:{triton.grpc_port}", PATHS[0])
        assert "Expected HTTP/" in said.stdout + said.stderr
        assert "Traceback" not in said.stderr


def test_the_gateways_client_gives_up_a_server_that_is_not_there(gateway_url: str) -> None:
    for url, reason in (
        ("http://127.0.0.1:1", "Connection refused"),
        (gateway_url.replace("http:", "https:"), "SSLError"),
    ):
        refused = python("gateway_client.py", "--url", url, PATHS[0])
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr


def test_ctrl_c_ends_the_gateways_client_without_a_trace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, EXAMPLES / "gateway_client.py", "--url", url, PATHS[0]]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                _, said = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert said == ""


def test_many_pictures_that_are_interrupted_leave_the_others(
    triton: Running, tmp_path: Path
) -> None:
    with begin_many_pictures(triton, tmp_path) as process:
        assert process.stderr
        process.stderr.read(BAR)  # it has begun
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 1
    assert "interrupted" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_many_pictures_that_nobody_reads_on_leave_the_others(
    triton: Running, tmp_path: Path
) -> None:
    with begin_many_pictures(triton, tmp_path) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert said.splitlines()[-1] == "many_pictures.py: the output cannot be written: Broken pipe"
    assert "Traceback" not in said


def test_many_pictures_that_fill_the_disk_are_no_success(triton: Running, tmp_path: Path) -> None:
    shutil.copy(PATHS[0], tmp_path)
    command = [sys.executable, EXAMPLES / "many_pictures.py", tmp_path]
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [*command, "--url", f"127.0.0.1:{triton.grpc_port}"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
        )
    assert finished.returncode == 1
    told = "many_pictures.py: the output cannot be written: No space left on device"
    assert finished.stderr.splitlines()[-1] == told


def begin_many_pictures(triton: Running, directory: Path) -> "subprocess.Popen[str]":
    """Start on pictures for seconds of work."""
    first = directory / "0.jpg"
    shutil.copy(PATHS[0], first)
    for number in range(1, 5_000):
        (directory / f"{number}.jpg").hardlink_to(first)
    url = f"127.0.0.1:{triton.grpc_port}"
    command = [sys.executable, EXAMPLES / "many_pictures.py", "--url", url, directory]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_many_pictures_takes_files_of_any_name_but_no_pipes(
    triton: Running, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    name = b"caf\xe9.jpg"
    shutil.copy(PATHS[0], tmp_path / os.fsdecode(name))
    url = f"127.0.0.1:{triton.grpc_port}"
    script = EXAMPLES / "many_pictures.py"
    finished = subprocess.run(
        [sys.executable, script, "--url", url, tmp_path],
        capture_output=True,
        timeout=SECONDS,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},  # as in most locales
    )
    assert finished.returncode == 0, finished.stderr
    assert name + b"," + PHOTOS[0].wnid.encode() in finished.stdout


def test_many_pictures_that_all_fail_are_no_success(tmp_path: Path) -> None:
    finished = python("many_pictures.py", str(tmp_path))
    assert finished.returncode == 2
    assert f"there is no picture below {tmp_path}" in finished.stderr
    shutil.copy(PATHS[0], tmp_path)
    finished = python("many_pictures.py", "--url", "127.0.0.1:1", str(tmp_path))
    assert finished.returncode == 1
    assert "0 of 1 named" in finished.stderr


def test_curl_says_which_file_is_missing() -> None:
    refused = run(EXAMPLES / "curl.sh", "missing.jpg")
    assert refused.returncode == 1
    assert refused.stderr == "curl.sh: there is no file missing.jpg\n"


def test_curl_asks_both_for_the_model(triton: Running, gateway_url: str) -> None:
    http = f"http://127.0.0.1:{triton.http_port}"
    command = (EXAMPLES / "curl.sh", PHOTOS[0].path, "missing")
    for gateway, complaint in ((gateway_url, "No such model"), ("", "'missing_image'")):
        refused = run(*command, TRITON=http, GATEWAY=gateway)
        assert refused.returncode != 0
        assert complaint in refused.stdout


def test_curl_asks_the_gateway_and_triton(triton: Running, gateway_url: str) -> None:
    finished = run(
        EXAMPLES / "curl.sh",
        PHOTOS[0].path,
        TRITON=f"http://127.0.0.1:{triton.http_port}",
        GATEWAY=gateway_url,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count(PHOTOS[0].wnid) == 2
    assert f":{PHOTOS[0].index}:{PHOTOS[0].wnid} {PHOTOS[0].label}" in finished.stdout
    (size,) = [line for line in finished.stdout.splitlines() if line.endswith(" bytes")]
    assert int(size.split()[0]) > 4 * 1000


@pytest.fixture(scope="session")
def node_packages() -> Path:
    packages = NODE / "node_modules"
    installed_from, wanted = packages / ".package-lock.json", NODE / "package-lock.json"
    made = installed_from.stat().st_mtime if installed_from.exists() else 0
    if made < wanted.stat().st_mtime:
        installed = run(
            "npm", "ci", "--prefix", NODE, "--ignore-scripts", "--no-audit", "--no-fund"
        )
        assert installed.returncode == 0, installed.stderr
    return packages


def test_node_names_every_photo(triton: Running, node_packages: Path) -> None:
    address = f"http://127.0.0.1:{triton.grpc_port}/"
    finished = run("node", NODE / "client.js", address, MODEL, *PATHS)
    assert finished.returncode == 0, finished.stderr
    for line, photo in zip(finished.stdout.splitlines(), PHOTOS, strict=True):
        assert line.startswith(f"{photo.path}: {photo.wnid} {photo.label} (")


class Colons(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers every picture with a label that holds colons."""

    def ModelInfer(self, request, context):
        text = b"0.5:7:n00000007 ratio 1:2: wide"
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        response.raw_output_contents.append(struct.pack("<I", len(text)) + text)
        return response


@pytest.fixture
def colons() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Colons(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_node_runs_below_a_path_with_spaces_and_keeps_a_labels_colons(
    colons: str, node_packages: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "my examples"
    copy.mkdir()
    for name in ("client.js", "kserve.proto", "package.json"):
        shutil.copy(NODE / name, copy)
    (copy / "node_modules").symlink_to(node_packages)
    finished = run("node", copy / "client.js", colons, "any", PATHS[0])
    assert finished.stdout == f"{PATHS[0]}: n00000007 ratio 1:2: wide (50.0 %)\n", finished.stderr


def test_no_example_is_left_untested() -> None:
    shown = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.sh"), *NODE.glob("*.js")]
    assert {path.name for path in shown} == COVERED
    readme = (EXAMPLES / "README.md").read_text()
    assert all(name in readme for name in COVERED)
