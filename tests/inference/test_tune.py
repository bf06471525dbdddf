"""Tuning: the search with made-up figures, the files, and a real Triton with a small model."""

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inference.errors import LaunchError
from inference.settings import Settings
from inference.tuning import MARK
from inference.tuning.axes import axes
from inference.tuning.candidate import Candidate
from inference.tuning.curve import draw
from inference.tuning.load import Figures, Load, press
from inference.tuning.search import ROUNDS, Search, fastest, gains, is_faster
from inference.tuning.tuned import Tuned
from tests.inference import standins
from tests.inference.calls import call, pids
from tests.places import HOME
from tests.servers import inference_env, start_inference
from tests.waiting import wait_until

DEFAULT = Candidate("auto", instances=1, threads=0, batch=16, delay=0)
SAVEDMODEL = {"backend": "tensorflow", "dynamic_batching": {}}

# However busy the machine is, two instances answer even a lone client in half the time.
SLEEPER = """
import json
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.pause = 0.03 / json.loads(args["model_config"])["instance_group"][0]["count"]

    def execute(self, requests):
        answers = []
        for request in requests:
            time.sleep(self.pause)
            tensor = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("answer", tensor)]))
        return answers
"""
UNBATCHED = standins.CONFIG.replace("dynamic_batching {}", "")


class Machine:
    """Stands in for the bench: `speed` says what a candidate does, and measuring takes time."""

    def __init__(self, speed: Callable[[Candidate], float], cost: float = 0.0) -> None:
        self.speed, self.cost, self.now = speed, cost, 0.0
        self.measured: list[Candidate] = []

    def measure(self, candidate: Candidate, seconds: float) -> Figures:
        self.now += seconds + self.cost
        self.measured.append(candidate)
        return figures(self.speed(candidate))

    def search(self, seconds: float) -> Search:
        return Search(self.measure, seconds, lambda: self.now)


def figures(speed: float, alone: float = 100.0) -> Figures:
    """Return the figures of `alone` answers a second for one client and `speed` for many."""
    if not speed:
        return {}
    return {1: Load(1, alone, 1000 / alone), 16: Load(16, speed, 16000 / speed)}


def values(axis: list[Candidate], name: str) -> list[object]:
    return [getattr(candidate, name) for candidate in axis]


def test_search_goes_on_from_the_best_of_each_axis(tmp_path: Path) -> None:
    machine = Machine(lambda c: 100 + 50 * (c.instances == 2) + 10 * (c.batch == 8))
    tried = machine.search(120).narrow(DEFAULT, axes(SAVEDMODEL, tmp_path, cpus=2, most=2))
    assert fastest(tried) == replace(DEFAULT, instances=2, batch=8)
    assert len(tried) < 16  # the grid has 4 x 4 x 3 and more


def test_search_ends_when_its_time_is_over(tmp_path: Path) -> None:
    machine = Machine(lambda c: 100, cost=20)
    machine.search(100).narrow(DEFAULT, axes(SAVEDMODEL, tmp_path, cpus=64, most=64))
    assert 60 <= machine.now < 60 + 25
    assert len(machine.measured) < 5


def test_what_cannot_be_served_does_not_win() -> None:
    broken = replace(DEFAULT, instances=2)
    assert fastest({DEFAULT: figures(1), broken: figures(0)}) == DEFAULT


def test_best_and_default_are_measured_by_turns() -> None:
    best = replace(DEFAULT, batch=8)
    machine = Machine(lambda c: 110 if c == best else 100)
    rounds = machine.search(120).compare(DEFAULT, best)
    assert sorted(machine.measured[:2], key=str) == sorted(machine.measured[2:4], key=str)
    assert [machine.measured.count(c) for c in (DEFAULT, best)] == [ROUNDS, ROUNDS]
    assert machine.measured[0] != machine.measured[2]
    assert machine.now <= 120
    assert gains(rounds) == {1: 1.0, 16: pytest.approx(1.1)}


def test_a_best_that_fails_in_one_round_gains_nothing() -> None:
    best = replace(DEFAULT, batch=8)
    answers = iter([200, 0, 200, 200])
    machine = Machine(lambda c: next(answers) if c == best else 100)
    rounds = machine.search(120).compare(DEFAULT, best)
    assert (gains(rounds), is_faster(rounds)) == ({}, False)


@pytest.mark.parametrize(
    ("rounds", "faster"),
    [
        ([(1.0, 1.3), (1.0, 1.2), (1.0, 1.3)], True),
        ([(0.9, 1.3), (0.99, 1.3), (1.01, 1.3)], True),
        ([(0.97, 2.0), (0.97, 2.0), (0.97, 2.0)], False),
        ([(1.3, 0.97), (1.3, 0.97), (1.3, 0.97)], False),
        ([(1.005, 1.005), (1.005, 1.005), (1.005, 1.005)], False),
        ([(2.0, 2.0), (2.0, 2.0), (1.0, 0.9)], False),
    ],
    ids=["faster", "noise", "slower alone", "slower for many", "as fast", "once slower"],
)
def test_only_what_is_faster_and_slower_for_nobody_wins(
    rounds: list[tuple[float, float]], faster: bool
) -> None:
    measured = [(figures(100), figures(100 * many, 100 * alone)) for alone, many in rounds]
    assert is_faster(measured) is faster


@pytest.mark.parametrize(("rate", "faster"), [(300, True), (299, False)])
def test_what_a_few_clients_see_decides_nothing_unless_it_is_much(rate: int, faster: bool) -> None:
    few = {4: Load(4, 400, 10)}, {4: Load(4, rate, 13)}
    rounds = [(figures(100) | few[0], figures(130) | few[1])] * ROUNDS
    assert is_faster(rounds) is faster
    assert gains(rounds) == {1: 1.0, 16: 1.3}


@pytest.mark.parametrize("cpus", [1, 2, 6, 64])
def test_instances_share_the_cpus_and_fit_into_memory(tmp_path: Path, cpus: int) -> None:
    _, instances, *_ = axes(SAVEDMODEL, tmp_path, cpus, most=4)
    found = instances(DEFAULT)
    assert len(found) == len(set(found))
    for candidate in found:
        threads = candidate.threads or max(1, cpus // candidate.instances)
        assert candidate.instances <= 4
        assert cpus / 2 <= candidate.instances * threads <= 2 * cpus
    assert DEFAULT in found


def test_no_precision_is_coarser_than_the_choice_of_auto(tmp_path: Path) -> None:
    without = axes(SAVEDMODEL, tmp_path, 2, 1)[0]
    assert set(values(without(DEFAULT), "precision")) <= {"f32"}
    (tmp_path / "model.int8.xml").touch()
    quantised = axes(SAVEDMODEL, tmp_path, 2, 1)[0]
    assert values(quantised(DEFAULT), "precision") in (["bf16", "f32"], ["f32"])
    assert quantised(replace(DEFAULT, precision="bf16")) == []


def test_other_backends_have_neither_threads_nor_precision(tmp_path: Path) -> None:
    (instances,) = axes({"backend": "python"}, tmp_path, cpus=2, most=9)
    assert instances(DEFAULT) == [DEFAULT, replace(DEFAULT, instances=2)]


def test_pressing_counts_what_clients_that_wait_for_answers_get() -> None:
    own = threading.local()

    def clock() -> float:
        return getattr(own, "now", 0.0)

    def infer() -> None:
        own.now = clock() + 1 / 32

    assert press(infer, clients=4, seconds=0.01, clock=clock) == Load(4, 4 * 32, 1000 / 32)


def test_a_failing_request_ends_the_pressing() -> None:
    def fail() -> None:
        raise LaunchError("on purpose")

    with pytest.raises(LaunchError, match="on purpose"):
        press(fail, clients=2, seconds=0.01)


def test_curve_names_both_and_can_be_drawn() -> None:
    curves = {"default: <auto>": figures(100), "best": figures(130)}
    drawn = ElementTree.fromstring(draw(curves, [figures(90), {}]))
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert "default: <auto>" in texts
    assert len([e for e in drawn.iter() if e.tag.endswith("polyline")]) == 2


@pytest.fixture
def tuned(tmp_path: Path) -> Tuned:
    """A model with a queue policy that must survive."""
    config = standins.CONFIG.replace(
        "dynamic_batching {}", "dynamic_batching { default_queue_policy { max_queue_size: 3 } }"
    )
    model = standins.add_model(tmp_path, "cat", config)
    (model / "configs").mkdir()
    return Tuned(model, "edge")


def test_tuned_file_differs_only_in_what_was_tuned(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    assert tuned.save(Candidate("f32", 2, 3, 4, 200), default, "<svg/>")
    text = tuned.path.read_text()
    assert text.startswith(f"{MARK}: f32, 2 x 3 threads, batch 4, delay 200 us.\n")
    for part in ("count: 2", "max_queue_size: 3", 'string_value: "f32"', 'string_value: "3"'):
        assert part in text
    assert "preferred_batch_size: 4" in text
    assert "max_batch_size: 8" in text  # clients may keep sending that many
    assert "max_queue_delay_microseconds: 200" in text
    assert sorted(path.name for path in tuned.path.parent.iterdir()) == ["edge.pbtxt", "edge.svg"]


def test_larger_batches_raise_the_limit(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    tuned.save(replace(default, batch=32), default, "")
    assert "max_batch_size: 32" in tuned.path.read_text()


def test_default_that_stays_removes_an_older_file(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    tuned.save(replace(default, instances=2), default, "")
    assert not tuned.save(default, default, "<svg/>")
    assert [path.name for path in tuned.path.parent.iterdir()] == ["edge.svg"]


def test_versions_that_a_deployment_chose_stay_chosen(tuned: Tuned) -> None:
    default = Candidate("auto", 1, 0, 8, 0)
    tuned.save(replace(default, instances=2), default, "")
    with tuned.path.open("a") as file:
        file.write("version_policy { specific { versions: [ 1 ] } }\n")
    assert tuned.save(default, default, "")
    text = tuned.path.read_text()
    assert "versions: 1" in text
    assert "count: 1" in text


def test_file_of_somebody_elses_is_not_replaced(tuned: Tuned) -> None:
    tuned.path.write_text("max_batch_size: 4\n")
    wrong = r"edge\.pbtxt was not written by `make tune`"
    with pytest.raises(LaunchError, match=wrong), tuned.reserved():
        pass


def test_a_model_is_tuned_by_one_process_at_a_time(tuned: Tuned) -> None:
    other = replace(tuned)
    with (
        tuned.reserved(),
        pytest.raises(LaunchError, match="cat is being tuned by another process"),
        other.reserved(),
    ):
        pass
    with other.reserved():
        pass


def test_only_models_that_compute_are_tuned(tmp_path: Path) -> None:
    standins.add_model(tmp_path, "cat")
    standins.add_model(tmp_path, "cat_image", standins.ENSEMBLE, code="")
    standins.add_model(tmp_path, "cat_decode", 'backend: "opencv"', code="")
    settings = Settings.from_env({"TRITON_MODEL_CONFIG_NAME": "edge"}, tmp_path)
    assert Tuned.find(settings, None).model == tmp_path / "cat"
    for model in ("dog", "cat_image"):
        with pytest.raises(LaunchError, match=f"no model {model} to tune in .*: cat"):
            Tuned.find(settings, model)
    standins.add_model(tmp_path, "lynx")
    with pytest.raises(LaunchError, match=r"Name a model; .*: cat, lynx"):
        Tuned.find(settings, None)


def test_a_host_without_tuned_configurations_is_not_tuned(tmp_path: Path) -> None:
    settings = Settings.from_env({"TRITON_MODEL_CONFIG_NAME": "none"}, tmp_path)
    with pytest.raises(LaunchError, match="TRITON_MODEL_CONFIG_NAME is none"):
        Tuned.find(settings, None)


def tune(env: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inference.tune", *arguments]
    return subprocess.run(command, cwd=HOME, env=env, capture_output=True, text=True, timeout=120)


def test_real_triton_finds_the_faster_configuration_and_serves_it(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    model = standins.add_model(repository, "sleeper", UNBATCHED, SLEEPER)
    env = inference_env(repository, tmp_path)
    done = tune(env, "--seconds", "12")
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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lion"], "There is no model lion to tune in "),
        (["--repository", "/nowhere"], "No model is ready in /nowhere: export one with"),
        (["broken"], "no such part"),
    ],
    ids=["unknown model", "no repository", "a model that cannot be loaded"],
)
def test_what_stops_it_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    repository = tmp_path / "models"
    standins.add_model(repository, "broken", code="raise ImportError('no such part')")
    done = tune(inference_env(repository, tmp_path), *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("tune: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_triton_that_cannot_start_is_one_line(repository: Path, tmp_path: Path) -> None:
    env = inference_env(repository, tmp_path, TRITON_START_TIMEOUT="0.001")
    done = tune(env, "echo")
    assert done.returncode == 1
    assert done.stderr.startswith("tune: Triton was not ready after 0.001 s")
