"""The launcher's own HTTP endpoint: readiness based on real inferences, and metrics."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from inference.supervision.state import State
from inference.tritonserver.ports import take

RETRY_AFTER_SECONDS = "2"
MOST_THREADS = 128  # of this process, one for each connection: the watchdog needs open files, too


class HealthEndpoint:
    """Serves `/readyz`, `/healthz` and `/metrics` in the background."""

    def __init__(self, host: str, port: int, state: State) -> None:
        listener = take(host, port, "TRITON_HEALTH_PORT")
        handler = type("Handler", (_Handler,), {"state": state})
        self._server = _Server(("", 0), handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def verify_request(self, *_: Any) -> bool:
        """Close a connection at once if there are too many."""
        return threading.active_count() < MOST_THREADS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    state: State
    timeout = 5  # a client that sends half a request does not hold its thread for long

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/readyz":
            self._readiness()
        elif self.path == "/healthz":
            self._json(HTTPStatus.OK, {"status": "ok"})
        elif self.path == "/metrics":
            self._send(
                HTTPStatus.OK, generate_latest(self.state.metrics.registry), CONTENT_TYPE_LATEST
            )
        else:
            self._json(HTTPStatus.NOT_FOUND, {"status": "not_found"})

    do_HEAD = do_GET

    def _readiness(self) -> None:
        problems, ready = self.state.problems(), self.state.is_ready()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        models = [
            {"name": f.model, "version": f.version, "infers": not f.problem}
            for f in self.state.findings()
        ]
        body = {"status": "ready" if ready else "not_ready", "models": models}
        self._json(status, body | ({"problems": problems} if problems else {}))

    def _json(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode() + b"\n", "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", RETRY_AFTER_SECONDS)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: balancers ask every second."""
