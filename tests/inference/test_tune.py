"""`make tune`: a real Triton with a small model, and what stops it."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.inference import standins
from tests.inference.calls import call, pids
from tests.places import HOME
from tests.servers import inference_env, start_inference
from tests.waiting import wait_until

# However busy the machine is, two instances answer even a lone client far sooner than any other
# number, but each process needs two seconds for its first answer.
SLEEPER = """
import json
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        count = json.loads(args["model_config"])["instance_group"][0]["count"]
        self.pause, self.cold = 0.01 if count == 2 else 0.05, 2

    def execute(self, requests):
        answers = []
        for request in requests:
            time.sleep(self.pause + self.cold)
            self.cold = 0
            tensor = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("answer", tensor)]))
        return answers
"""
HANGER = (
    SLEEPER
    + """
    def finalize(self):
        time.sleep(3600 if "_candidate/" in __file__ else 0)
"""
)
FAILER = (
    HANGER
    + """

class Failer(TritonPythonModel):
    def initialize(self, args):
        super().initialize(args)
        batching = json.loads(args["model_config"])["dynamic_batching"]
        self.fails = batching["preferred_batch_size"] == [4]

    def execute(self, requests):
        assert not self.fails
        return super().execute(requests)


TritonPythonModel = Failer
"""
)
# The process is its own: a bench ends all its children.
MEASURE_TWO = """
import os
from dataclasses import replace

from inference.settings import Settings
from inference.tuning.bench import open_bench
from inference.tuning.tuned import Tuned
from tests.inference.calls import pids

settings = Settings.from_env(os.environ)
with open_bench(settings, Tuned.find(settings, None)) as bench:
    for batch in (4, 16):
        print(sorted(bench.measure(replace(bench.default, batch=batch), 0.1)))
    print(len(pids("python_backend_stub", f"_{os.getpid()}_", "_candidate/")))
"""
UNBATCHED = standins.CONFIG.replace("dynamic_batching {}", "")


def tune(env: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inference.tune", *arguments]
    return subprocess.run(command, cwd=HOME, env=env, capture_output=True, text=True, timeout=120)


def test_real_triton_finds_the_faster_configuration_and_serves_it(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    model = standins.add_model(repository, "sleeper", UNBATCHED, SLEEPER)
    env = inference_env(repository, tmp_path)
    done = tune(env, "--seconds", "20")
    assert done.returncode == 0, done.stderr
    (written,) = (model / "configs").glob("*.pbtxt")
    assert f"Wrote {written}" in done.stdout
    assert "count: 2" in written.read_text()
    assert done.stdout.count("\n") <= 12
    with start_inference(repository) as server:
        config = call(server.http_port, "/v2/models/sleeper/config").body
        assert b'"count":2' in config.replace(b" ", b"")
        assert f"sleeper (configs/{written.name})" in server.printed()
    with start_inference(repository, TRITON_MODEL_CONFIG_NAME="none") as server:
        config = call(server.http_port, "/v2/models/sleeper/config").body
        assert b'"count":1' in config.replace(b" ", b"")
    again = tune(env, "sleeper", "--once")
    assert (again.returncode, again.stdout) == (0, "")


def test_interrupted_tuning_leaves_nothing(tmp_path: Path) -> None:
    model = standins.add_model(tmp_path / "models", "sleeper", UNBATCHED, SLEEPER)
    process = subprocess.Popen(
        [sys.executable, "-m", "inference.tune", "sleeper", "--seconds", "60"],
        cwd=HOME,
        env=inference_env(tmp_path / "models", tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    run = f"_{process.pid}_"
    wait_until(lambda: pids("python_backend_stub", run, "_candidate/"), "a candidate is tried", 60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "tune: interrupted; nothing was changed\n"
    assert pids("edgelens_", run) == []
    for place in ("/dev/shm", tempfile.gettempdir()):
        assert list(Path(place).glob(f"edgelens_*{run}*")) == []
    assert sorted(path.name for path in model.iterdir()) == ["1", "config.pbtxt"]


@pytest.mark.parametrize(("code", "first"), [(HANGER, [1, 4, 16]), (FAILER, [])])
def test_a_candidate_that_hangs_at_its_end_is_gone_before_the_next_is_measured(
    tmp_path: Path, code: str, first: list[int]
) -> None:
    standins.add_model(tmp_path / "models", "hanger", code=code)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_TWO],
        cwd=HOME,
        env=inference_env(tmp_path / "models", tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == f"{first}\n[1, 4, 16]\n1\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lion"], "There is no model lion to tune in "),
        (["--repository", "/nowhere"], "No model is ready in /nowhere: export one with"),
        (["broken"], "/models/broken/1/model.py cannot run"),
    ],
    ids=["unknown model", "no repository", "a model that cannot be loaded"],
)
def test_what_stops_it_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    repository = tmp_path / "models"
    standins.add_model(repository, "broken", code="raise ImportError(f'{__file__} cannot run')")
    done = tune(inference_env(repository, tmp_path), *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("tune: ")
    assert reason.replace("/models", str(repository)) in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_triton_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    standins.add_model(repository, "waits", code=standins.NEVER_CONFIGURED)
    env = inference_env(repository, tmp_path, TRITON_START_TIMEOUT="0.001")
    done = tune(env, "waits")
    assert done.returncode == 1
    assert done.stderr.startswith("tune: Triton was not ready after 0.001 s")
