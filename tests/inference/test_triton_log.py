"""Triton's log file, and reasons found in it."""

import io
import os
from pathlib import Path

import pytest

from inference.tritonserver.log import TritonLog, explain
from tests.waiting import wait_until

MODEL = (
    "E1125 02:06:06.241437 3398 model_lifecycle.cc:642] \"failed to load 'vgg16' version 1:"
    ' Internal: ImportError: no openvino\\n\\nAt:\\n  /m/1/model.py(1): <module>\\n"'
)
POLL = (
    'E1125 02:06:06.24 3398 model_repository_manager.cc:1460] "Poll failed for model directory'
    " 'vgg16': unexpected platform type 'x' for vgg16\""
)
PARSE = (
    "[libprotobuf ERROR /tmp/google/protobuf/text_format.cc:337] Error parsing text-format"
    ' inference.ModelConfig: 2:14: Message type "inference.ModelConfig" has no field named "typo".'
)
UNPARSED = POLL.replace(
    "unexpected platform type 'x' for vgg16", "failed to read text proto from F"
)
PORT = (
    'E1125 02:06:06.28 3398 main.cc:366] "failed to start HTTP service: Unavailable - Socket'
    " '127.0.0.1:8000' already in use \""
)
INFO = 'I1125 02:06:06.18 3398 server.cc:604] "fine"'


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([INFO, MODEL, INFO], "model vgg16 v1 cannot be loaded: ImportError: no openvino"),
        ([POLL, "error: creating server"], "model vgg16 cannot be read: unexpected platform"),
        ([INFO, PORT, INFO], "failed to start HTTP service: Unavailable - Socket '127.0.0.1:8000'"),
        (["error while loading shared libraries: libX.so", ""], "error while loading shared lib"),
        ([], ""),
    ],
    ids=["model", "configuration", "port", "loader", "silence"],
)
def test_reason_is_found(lines: list[str], reason: str) -> None:
    assert explain(lines).startswith(reason)


def test_what_may_end_a_process_while_it_loads_is_said() -> None:
    ended = MODEL.replace("ImportError: no openvino", "Stub process 'vgg16_0' is not healthy.")
    assert explain([ended]).endswith(
        'or its engine failed. In the latter case, the parameter engine "tensorflow" may help.'
    )


def test_every_model_that_fails_is_named_once() -> None:
    other = MODEL.replace("vgg16", "resnet50")
    assert [line.split()[1] for line in explain([MODEL, other, MODEL]).splitlines()] == [
        "vgg16",
        "resnet50",
    ]


def test_each_configuration_that_is_not_understood_is_named_with_its_own_mistake() -> None:
    other = UNPARSED.replace("vgg16", "resnet50")
    first, second, third = explain(
        [PARSE, INFO, UNPARSED, POLL.replace("vgg16", "vgg19"), PARSE.replace("typo", "x"), other]
    ).splitlines()
    said = ', line 2: Message type "inference.ModelConfig" has no field named '
    assert first == f'model vgg16 cannot be read: failed to read text proto from F{said}"typo".'
    assert second.endswith("unexpected platform type 'x' for vgg19")
    assert third.endswith(f'text proto from F{said}"x".')


def test_files_that_triton_does_not_know_are_told_where_a_savedmodel_belongs() -> None:
    unknown = "Invalid model name: Could not determine backend for model 'vgg16' with no backend."
    said = explain([POLL.replace("unexpected platform type 'x' for vgg16", unknown)])
    assert said == (
        f"model vgg16 cannot be read: {unknown}"
        " A SavedModel is the directory VERSION/model.savedmodel."
    )


def test_a_crash_matters_more_than_the_missing_gpu() -> None:
    gpu = 'E1125 02:06:06.24 3398 pinned.cc:1] "CudaDriverHelper has not been initialized."'
    crash = "  what():  boost::interprocess::lock_exception"
    assert "lock_exception" in explain([gpu, crash, gpu, "Signal (6) received."])
    assert explain([gpu, "Signal (6) received."]) == "Signal (6) received."


@pytest.mark.parametrize("error", ["Resource temporarily unavailable", "Invalid argument"])
def test_a_limit_of_threads_is_told_by_its_names(error: str) -> None:
    crash = f"  what():  {error}"
    assert "`ulimit -u`" in explain(["terminate called", crash, "Signal (6) received."])


def test_a_limit_of_threads_that_a_model_met_is_told_by_its_names() -> None:
    said = "failed to load 'm' version 1: Internal: OpenVINO cannot run m: "
    line = f'E1125 02:06:06.24 3398 model_lifecycle.cc:1] "{said}Resource temporarily unavailable"'
    assert "`ulimit -u`" in explain([line])


def test_model_matters_more_than_what_follows_from_it() -> None:
    assert explain([MODEL, PORT]).startswith("model vgg16")


def test_reason_is_one_short_line() -> None:
    line = MODEL.replace("no openvino", "x\\ny" * 500)
    assert "\n" not in explain([line])
    assert len(explain([line])) < 400


def test_traceback_is_left_to_the_file() -> None:
    assert "model.py" not in explain([MODEL])


def test_output_is_copied_into_the_file(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log")
    log.follow(io.StringIO(f"{INFO}\n{MODEL}\n"))
    assert log.reason().startswith("model vgg16")
    assert log.path.read_text() == f"{INFO}\n{MODEL}\n"


def test_new_run_keeps_one_older_log(tmp_path: Path) -> None:
    for text in ("first\n", "second\n", "third\n"):
        log = TritonLog(tmp_path / "triton.log")
        log.follow(io.StringIO(text))
        log.reason()
    assert log.path.read_text() == "third\n"
    assert (tmp_path / "triton.log.1").read_text() == "second\n"


def test_the_reason_is_that_of_the_last_start(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log")
    for text in (MODEL, PORT):
        log.follow(io.StringIO(f"{text}\n"))
        reason = log.reason()
    assert reason.startswith("failed to start HTTP service")


def test_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log", limit=1000)
    log.follow(io.StringIO("x" * 99 + "\n" + ("y" * 99 + "\n") * 100))
    log.reason()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2500


def test_full_disk_does_not_stop_triton(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log")
    log.path.mkdir()
    log.follow(io.StringIO("one\ntwo\n"))
    assert log.reason() == "two"


def test_drained_triton_is_recognised(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log")
    assert not log.is_drained()
    log.follow(io.StringIO('I1125 02:06:07 9 server.cc:336] "All models are stopped, unloading"\n'))
    log.reason()
    assert log.is_drained()


def test_what_the_process_before_says_late_is_none_of_the_new_ones(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log")
    reading, writing = os.pipe()
    log.follow(os.fdopen(reading))
    log.follow(io.StringIO("new\n"))
    assert log.reason() == "new"
    with os.fdopen(writing, "w") as before:
        before.write('I1125 02:06:07 9 server.cc:336] "All models are stopped, unloading"\n')
    wait_until(lambda: "stopped" in log.path.read_text(), "it is copied", 10)
    assert not log.is_drained()


def test_models_that_are_being_loaded_are_known(tmp_path: Path) -> None:
    log = TritonLog(tmp_path / "triton.log")
    lines = [
        'I1128 20:46:45.016246 1666 model_lifecycle.cc:472] "loading: a:1"',
        'I1128 20:46:45.016432 1666 model_lifecycle.cc:472] "loading: b:1"',
        'I1128 20:46:45.016432 1666 model_lifecycle.cc:472] "loading: b:2"',
        'I1128 20:46:45.016432 1666 model_lifecycle.cc:472] "loading: c:7"',
        """I1128 20:46:47.136709 1666 model_lifecycle.cc:839] "successfully loaded 'b'\"""",
        """E1128 20:46:47.136709 1666 model_lifecycle.cc:642] "failed to load 'c' version 7\"""",
    ]
    log.follow(io.StringIO("\n".join(lines) + "\n"))
    log.reason()  # waits until all is read
    assert log.loading() == {("a", "1")}
