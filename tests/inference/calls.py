"""Calls a running inference server as a plain HTTP client."""

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Running


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: "http.client.HTTPMessage"


def call(port: int, path: str, body: bytes | None = None, timeout: float = 20, **headers) -> Answer:
    """Make one call; an error status also counts as an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, named)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Answer(response.status, response.read(), response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), error.headers)


def admin(server: Running, path: str) -> Answer:
    """Load, unload or list models, which may take long on a busy machine."""
    return call(server.http_port, path, b"{}", timeout=60, x_edgelens_admin=server.admin_key)


def infer(server: Running, values: list[int], model: str = "echo", times: int = 1) -> Answer:
    """Send `times` rows of 4 numbers as one request."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [times, 4], "data": values * times}
    body = json.dumps({"inputs": [tensor]}).encode()
    return call(server.http_port, f"/v2/models/{model}/infer", body)


def command(server: Running, number: int, model: str = "echo", times: int = 1) -> Answer:
    """Make a stand-in misbehave."""
    return infer(server, [255, 254, number, 0], model, times)


def readiness(server: Running) -> Answer:
    return call(server.health_port, "/readyz")


def is_ready(server: Running) -> bool:
    return readiness(server).status == 200


def is_whole(server: Running) -> bool:
    """Tell whether the server is ready with all its models."""
    answer = readiness(server)
    return answer.status == 200 and "problems" not in json.loads(answer.body)


def counter(server: Running, name: str, **labels: str) -> float:
    """Read one of the launcher's metrics; 0 if it was never counted."""
    wanted = name + (
        "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else ""
    )
    for line in call(server.health_port, "/metrics").body.decode().splitlines():
        if line.rpartition(" ")[0] == wanted:
            return float(line.rpartition(" ")[2])
    return 0.0


def inferences(server: Running, model: str) -> int:
    answer = call(server.http_port, f"/v2/models/{model}/stats", x_edgelens_admin=server.admin_key)
    return json.loads(answer.body)["model_stats"][0]["inference_count"]


def pids(*words: str) -> list[int]:
    """List the processes whose command line contains all the words."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:  # a zombie's command line is empty
            arguments = (process / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if all(word in arguments for word in words) and arguments:
            found.append(int(process.name))
    return found


def triton_of(server: Running) -> int:
    (pid,) = pids("bin/tritonserver ", f"--http-port={server.http_port} ")
    return pid


def stubs_of(server: Running, model: str) -> list[int]:
    return pids("triton_python_backend_stub", run_of(server), f"/{model}/1/model.py")


def run_of(server: Running) -> str:
    """Return the part of file names that is unique to this launcher."""
    return f"_{server.process.pid}_"
