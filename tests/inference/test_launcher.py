"""The launcher's start and end with a real Triton."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import tritonclient.grpc

from inference.errors import LaunchError
from inference.launcher import require_plain_temporary_directory
from tests.inference import standins
from tests.inference.calls import (
    Answer,
    call,
    command,
    counter,
    infer,
    pids,
    run_of,
    stubs_of,
    triton_of,
)
from tests.inference.contracted import add_ensemble
from tests.places import HOME
from tests.servers import Running, inference_env, launched, start_inference
from tests.waiting import wait_until

FEW_FILES = 512
GRPC_KEY = "triton-grpc-protocol-x-edgelens-admin"
CLOSED = [
    ("get_model_repository_index",),
    ("load_model", "echo"),
    ("unload_model", "echo"),
    ("get_log_settings",),
    ("update_log_settings", {"log_verbose_level": 1}),
    ("get_trace_settings",),
    ("update_trace_settings", None, {"trace_level": ["TIMESTAMPS"]}),
    ("get_inference_statistics", "echo"),
    ("get_system_shared_memory_status",),
    ("register_system_shared_memory", "mine", "/mine", 8),
    ("get_cuda_shared_memory_status",),
]


def leftovers(server: Running) -> list[str]:
    """List what a launcher has outside its own process."""
    run = run_of(server)
    places = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    files = [str(p) for place in places for p in place.glob(f"edgelens_*{run}*")]
    return files + [str(pid) for pid in pids("edgelens_", run)]


def start(env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a launcher that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "inference"],
        cwd=HOME,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_model_is_served_where_the_ready_file_says(server: Running) -> None:
    assert infer(server, [1, 2, 3, 4]).status == 200
    with tritonclient.grpc.InferenceServerClient(f"{server.host}:{server.grpc_port}") as client:
        assert client.is_model_ready("echo")
    assert b"nv_inference_count" in call(server.metrics_port, "/metrics").body
    assert call(server.health_port, "/readyz").status == 200


def test_terminal_shows_a_few_lines_and_the_file_has_the_log(server: Running) -> None:
    first, second = server.printed().splitlines()[:2]
    assert first.startswith("Starting Triton with cached, echo, echo_image, picky, spare, twice")
    assert str(server.log) in first
    assert second.startswith(
        "Triton 2.51.0 serves cached v1, echo v1, echo_image v1, picky v1, spare v1, twice v1: HTTP"
    )
    assert f"gRPC {server.host}:{server.grpc_port}" in second
    assert "Started HTTPService" in server.log.read_text()


@pytest.fixture(scope="module")
def hindered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A launcher whose key was chosen by hand, with much that must not keep it from serving."""
    directory = tmp_path_factory.mktemp("hindered")
    (directory / "file").touch()
    models = directory / "models"
    for name in ("echo", "echo (copy)", "dated"):
        standins.add_model(models, name)
    (models / "dated/20260730123000123456").mkdir()
    add_ensemble(models, "removed")
    (models / "itself").symlink_to("itself")
    (models / "unmounted").symlink_to(directory / "absent")
    odd = {
        "TRITON_ADMIN_KEY": "chosen-by-hand",
        "EDGELENS_CACHE_DIR": str(directory / "file"),
        "PATH": str(directory),
    }
    with ExitStack() as stack:
        with few_open_files():
            running = stack.enter_context(start_inference(models, **odd))
        yield running


@contextmanager
def few_open_files() -> Iterator[None]:
    """Let what the block starts open few files, unless it asks for more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_misnamed_model_does_not_keep_the_others_from_being_served(hindered: Running) -> None:
    assert "Not served: 'echo (copy)' is no name for a model" in hindered.printed()
    assert infer(hindered, [1, 2, 3, 4]).status == 200


def test_a_version_beyond_all_numbers_does_not_keep_the_others_from_being_served(
    hindered: Running,
) -> None:
    assert "Not served: dated/20260730123000123456 is no version" in hindered.printed()
    assert infer(hindered, [1, 2, 3, 4]).status == 200


def test_what_is_left_of_a_removed_model_does_not_keep_the_others_from_being_served(
    hindered: Running,
) -> None:
    assert "Not served: removed_image leads to removed" in hindered.printed()
    assert infer(hindered, [1, 2, 3, 4]).status == 200


def test_links_that_lead_nowhere_do_not_keep_the_server_from_being_ready(
    hindered: Running,
) -> None:
    assert call(hindered.health_port, "/readyz").status == 200
    assert infer(hindered, [1, 2, 3, 4]).status == 200


def test_a_path_without_a_shell_does_not_keep_the_models_from_being_started(
    hindered: Running,
) -> None:
    assert not list(Path(hindered.env["PATH"]).glob("*sh"))
    assert infer(hindered, [1, 2, 3, 4]).status == 200


def test_only_the_key_opens_the_repository_over_http(server: Running) -> None:
    path = "/v2/repository/index"
    assert call(server.http_port, path, b"{}").status == 403
    assert call(server.http_port, path, b"{}", x_edgelens_admin="wrong").status == 403
    assert call(server.http_port, path, b"{}", x_edgelens_admin=server.admin_key).status == 200


@pytest.mark.parametrize(
    "path",
    ["/v2/systemsharedmemory/status", "/v2/logging", "/v2/trace/setting", "/v2/models/echo/stats"],
)
def test_other_doors_are_closed_without_the_key(server: Running, path: str) -> None:
    assert call(server.http_port, path).status == 403


@pytest.mark.parametrize("action", ["load", "unload"])
def test_nobody_loads_or_unloads_without_the_key(server: Running, action: str) -> None:
    path = f"/v2/repository/models/echo/{action}"
    assert call(server.http_port, path, b"{}").status == 403
    assert call(server.http_port, path, b"{}", x_edgelens_admin="wrong").status == 403
    assert infer(server, [1, 2, 3, 4]).status == 200


@pytest.mark.parametrize("door", CLOSED, ids=lambda door: door[0])
@pytest.mark.parametrize("headers", [None, {GRPC_KEY: "wrong"}], ids=["no key", "wrong key"])
def test_every_door_is_closed_over_grpc(server: Running, door: tuple, headers: dict) -> None:
    method, *arguments = door
    with tritonclient.grpc.InferenceServerClient(f"{server.host}:{server.grpc_port}") as client:
        with pytest.raises(tritonclient.grpc.InferenceServerException, match="restricted"):
            getattr(client, method)(*arguments, headers=headers)
        assert client.is_model_ready("echo")


def test_the_key_opens_the_repository_over_grpc(server: Running) -> None:
    with tritonclient.grpc.InferenceServerClient(f"{server.host}:{server.grpc_port}") as client:
        key = {GRPC_KEY: server.admin_key}
        assert client.get_model_repository_index(headers=key).models


def test_only_the_owner_can_read_the_key(server: Running) -> None:
    path = server.runtime_dir / "admin-key"
    assert path.read_text() == server.admin_key
    assert path.stat().st_mode & 0o777 == 0o600


def test_nobody_prints_the_key(server: Running) -> None:
    assert call(server.http_port, "/v2/repository/index", b"{}", x_edgelens_admin="wrong").body
    assert server.admin_key not in server.printed()
    assert server.admin_key not in server.log.read_text()


def test_the_launcher_and_triton_may_open_as_many_files_as_is_allowed(hindered: Running) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert most > FEW_FILES
    for process in (hindered.process.pid, triton_of(hindered)):
        assert resource.prlimit(process, resource.RLIMIT_NOFILE) == (most, most)


def test_a_limit_of_open_files_that_is_too_low_is_one_sentence(
    repository: Path, tmp_path: Path
) -> None:
    few = ["prlimit", "--nofile=64:64", sys.executable, "-m", "inference"]
    env = inference_env(repository, tmp_path)
    ended = subprocess.run(few, cwd=HOME, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert "only 64 files open here" in sentence
    assert "ulimit -n 1024" in sentence


def test_a_full_disk_without_room_for_temporary_files_is_one_sentence(
    repository: Path, tmp_path: Path
) -> None:
    full = ["prlimit", "--fsize=0", sys.executable, "-m", "inference"]
    env = inference_env(repository, tmp_path)
    ended = subprocess.run(full, cwd=HOME, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: No usable temporary directory found in ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["my files", "für", "$HOME"])
def test_a_temporary_directory_from_which_no_model_starts_is_one_sentence(
    repository: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    ended = start(inference_env(repository, tmp_path, TMPDIR=str(tmp_path / name)))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: Triton cannot start models from {tmp_path / name}: ")
    assert "set TMPDIR" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_temporary_directory_that_allows_no_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_NOEXEC))
    with pytest.raises(LaunchError, match=f"from {tmp_path}, .*noexec"):
        require_plain_temporary_directory()


def test_nested_json_does_not_end_triton(server: Running) -> None:
    said = server.printed()
    body = b'{"inputs":' + b"[" * 900_000
    assert call(server.http_port, "/v2/models/echo/infer", body).status in (400, 500)
    assert call(server.http_port, "/v2/health/ready").status == 200
    assert server.printed() == said


def test_other_users_cannot_read_the_shared_memory(server: Running) -> None:
    segments = list(Path("/dev/shm").glob(f"edgelens_*{run_of(server)}*"))
    assert segments
    assert {path.stat().st_mode & 0o077 for path in segments} == {0}


def test_models_do_not_get_the_key(hindered: Running) -> None:
    (stub,) = stubs_of(hindered, "echo")
    assert hindered.admin_key == "chosen-by-hand"
    assert b"chosen-by-hand" not in Path(f"/proc/{stub}/environ").read_bytes()


def test_sigterm_answers_what_was_admitted_and_leaves_nothing(repository: Path) -> None:
    with start_inference(repository) as server:
        answers: list[Answer] = []
        request = threading.Thread(target=lambda: answers.append(command(server, standins.SLOW)))
        request.start()
        wait_until((repository / "echo" / "1" / "slow").exists, "the request was admitted", 10)
        server.process.terminate()
        assert server.process.wait(30) == 0
        request.join(10)
        assert [answer.status for answer in answers] == [200]
        assert "All models are stopped" in server.log.read_text()
        assert leftovers(server) == []
        assert sorted(path.name for path in server.runtime_dir.iterdir()) == ["triton.log"]
        assert not Path(server.env["TRITON_READY_FILE"]).exists()


def test_what_a_model_leaves_among_the_temporary_files_goes_with_triton_and_the_launcher(
    tmp_path: Path,
) -> None:
    littering = standins.ECHO.replace("import os", "import os, tempfile").replace(
        "    def execute",
        "    def initialize(self, args):\n        tempfile.mkdtemp()\n\n    def execute",
    )
    standins.add_model(tmp_path / "models", "echo", code=littering)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with start_inference(tmp_path / "models", TMPDIR=str(temporary)) as server:
        os.kill(triton_of(server), signal.SIGKILL)
        wait_until(
            lambda: counter(server, "edgelens_triton_restarts_total") == 1,
            "Triton is restarted",
            20,
        )
        wait_until(lambda: call(server.health_port, "/readyz").status == 200, "it infers", 20)
        assert len(list(temporary.glob("edgelens_*/**/tmp*"))) == 1
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert list(temporary.iterdir()) == []


def test_leaving_server_says_so_while_it_still_infers(repository: Path) -> None:
    with start_inference(repository, TRITON_LEAVE_SECONDS="60") as server:
        server.process.terminate()
        wait_until(lambda: call(server.health_port, "/readyz").status == 503, "it leaves", 10)
        assert infer(server, [1, 2, 3, 4]).status == 200
        server.process.kill()


def test_ctrl_c_ends_a_server_whose_model_hangs(repository: Path) -> None:
    with start_inference(repository) as server:
        os.kill(stubs_of(server, "echo")[0], signal.SIGSTOP)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert leftovers(server) == []


def test_killed_launcher_does_not_stop_the_next_start(repository: Path) -> None:
    with start_inference(repository) as first:
        # A stopped stub cannot notice that its server has died.
        os.kill(stubs_of(first, "echo")[0], signal.SIGSTOP)
        first.process.kill()
        first.process.wait()
        wait_until(lambda: not pids("bin/tritonserver ", run_of(first)), "Triton died too", 10)
        assert any(path.startswith("/dev/shm") for path in leftovers(first))
        assert any(path.endswith("backends") for path in leftovers(first))
        same = {f"TRITON_{p.upper()}_PORT": str(getattr(first, f"{p}_port")) for p in PORTS}
        with start_inference(repository, **same) as second:
            assert infer(second, [1, 2, 3, 4]).status == 200
            assert second.http_port == first.http_port
            assert leftovers(first) == []


PORTS = ("http", "grpc", "metrics", "health")


def test_taken_port_is_one_line_that_names_the_variable(repository: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(inference_env(repository, tmp_path, TRITON_GRPC_PORT=str(port)))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: Cannot listen on 127.0.0.1:{port}")
    assert "TRITON_GRPC_PORT" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_empty_repository_says_how_to_export(tmp_path: Path) -> None:
    ended = start(inference_env(tmp_path, tmp_path))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: No model is ready in {tmp_path}: export one with")


def test_bad_setting_is_a_usage_error(repository: Path, tmp_path: Path) -> None:
    ended = start(inference_env(repository, tmp_path, TRITON_HTTP_PORT="http"))
    assert ended.returncode == 2
    assert ended.stderr == (
        "Error: TRITON_HTTP_PORT='http' cannot be used: give a whole number from 0 to 65535\n"
    )


@pytest.mark.parametrize(
    ("config", "code", "reason"),
    [
        (standins.CONFIG, "raise ImportError('no such part')", "no such part"),
        ("backend: nonsense", standins.ECHO, "model broken cannot be read"),
        (f"{standins.CONFIG}\nbatchsize: 4", standins.ECHO, 'no field named "batchsize"'),
        (standins.CONFIG.replace("python", "absent"), standins.ECHO, "absent"),
    ],
    ids=["broken code", "broken configuration", "unknown field", "unknown backend"],
)
def test_model_that_cannot_be_loaded_is_named_in_one_line(
    tmp_path: Path, config: str, code: str, reason: str
) -> None:
    standins.add_model(tmp_path / "models", "broken", config, code)
    ended = start(inference_env(tmp_path / "models", tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: Triton could not start: model broken")
    assert reason in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "ready.json").exists()


def test_process_that_dies_during_the_start_is_one_line(tmp_path: Path) -> None:
    model = standins.add_model(tmp_path / "models", "doomed", code=standins.ENDS_LATE)
    ended = start(inference_env(tmp_path / "models", tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: The process of model doomed died while")
    assert ended.stderr.count("\n") == 1
    assert (model / "1/ended").exists()


@pytest.mark.parametrize("place", ["/proc", "/proc/version/run"])
def test_runtime_directory_that_cannot_be_used_is_one_line(
    repository: Path, tmp_path: Path, place: str
) -> None:
    ended = start(inference_env(repository, tmp_path, EDGELENS_RUNTIME_DIR=place))
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: Cannot ")
    assert "EDGELENS_RUNTIME_DIR" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_cache_that_cannot_be_used_is_one_line_and_the_models_are_served(
    hindered: Running,
) -> None:
    assert infer(hindered, [1, 2, 3, 4]).status == 200
    (line,) = [line for line in hindered.printed().splitlines() if "EDGELENS_CACHE_DIR" in line]
    assert line.startswith(
        f"Cannot keep converted models in {hindered.env['EDGELENS_CACHE_DIR']} ("
    )


def test_runtime_directory_of_another_launcher_is_left_to_it(
    server: Running, repository: Path, tmp_path: Path
) -> None:
    directory = str(server.runtime_dir)
    ended = start(inference_env(repository, tmp_path, EDGELENS_RUNTIME_DIR=directory))
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"Error: Another Triton keeps its log and its key in {directory}"
    )
    assert ended.stderr.count("\n") == 1
    assert (server.runtime_dir / "admin-key").read_text() == server.admin_key


def test_signal_during_the_start_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    env = inference_env(repository, tmp_path)
    with launched(env, tmp_path / "output.txt") as process:
        run = f"_{process.pid}_"
        wait_until(lambda: pids("bin/tritonserver ", run), "Triton was started", 20)
        process.terminate()
        assert process.wait(30) == 0
        assert pids("edgelens_", run) == []
        assert list(Path("/dev/shm").glob(f"edgelens_*{run}*")) == []
