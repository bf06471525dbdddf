"""What stops inferring is noticed, reported and healed, on a real Triton."""

import http.client
import json
import os
import re
import shutil
import signal
import threading
from pathlib import Path

import pytest

from inference.tritonserver.identity import Run
from inference.tritonserver.shm import bearable
from tests.inference import standins
from tests.inference.calls import (
    admin,
    command,
    counter,
    infer,
    inferences,
    is_ready,
    is_whole,
    readiness,
    run_of,
    stubs_of,
    triton_of,
)
from tests.servers import Running
from tests.waiting import wait_until

RELOADS = "edgelens_model_reloads_total"
RESTARTS = "edgelens_triton_restarts_total"
DEADLINE = 60


@pytest.fixture(autouse=True)
def healthy(server: Running):
    """Begin and end each test with a server on which every model infers."""
    wait_until(lambda: is_whole(server), "every model infers", DEADLINE)
    yield
    wait_until(lambda: is_whole(server), "every model infers again", DEADLINE)


def in_background(server: Running, number: int, times: int = 1) -> threading.Thread:
    thread = threading.Thread(target=command, args=(server, number, "echo", times))
    thread.start()
    return thread


def await_unready(server: Running) -> None:
    wait_until(lambda: not is_ready(server), "the fault is noticed", DEADLINE)


def await_healed(server: Running) -> None:
    wait_until(lambda: is_whole(server), "the fault is healed", DEADLINE)


def names(server: Running) -> list[str]:
    return [model["name"] for model in json.loads(readiness(server).body)["models"]]


def test_crashed_model_is_reported_and_reloaded_alone(server: Running) -> None:
    reloads, restarts = counter(server, RELOADS, model="echo"), counter(server, RESTARTS)
    spare = stubs_of(server, "spare")
    assert command(server, standins.CRASH).status == 500
    await_unready(server)
    answer = readiness(server)
    assert answer.headers["Retry-After"] == "2"
    assert "echo" in json.loads(answer.body)["problems"][0]
    await_healed(server)
    assert infer(server, [1, 2, 3, 4]).status == 200
    assert infer(server, [1, 2, 3, 4], "echo_image").status == 200
    assert counter(server, RELOADS, model="echo") == reloads + 1
    assert counter(server, RELOADS, model="echo_image") == 0  # its step was to blame
    assert counter(server, RESTARTS) == restarts
    assert stubs_of(server, "spare") == spare
    told = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d echo infers again\.$", re.MULTILINE)
    wait_until(lambda: told.search(server.printed()), "it is told, and when it was", DEADLINE)


def test_one_dead_process_of_two_is_missed_and_replaced_each_time(server: Running) -> None:
    for _ in range(2):
        stubs = stubs_of(server, "twice")
        assert len(stubs) == 2
        os.kill(stubs[0], signal.SIGKILL)
        await_unready(server)
        assert "twice" in json.loads(readiness(server).body)["problems"][0]
        await_healed(server)
        assert not set(stubs_of(server, "twice")) & set(stubs)


def test_hanging_model_is_killed_and_reloaded(server: Running) -> None:
    restarts, stub = counter(server, RESTARTS), stubs_of(server, "echo")
    request = in_background(server, standins.HANG)
    await_unready(server)
    await_healed(server)
    request.join(DEADLINE)
    assert not request.is_alive()
    assert infer(server, [1, 2, 3, 4]).status == 200
    assert counter(server, RESTARTS) == restarts
    assert stubs_of(server, "echo") != stub


def test_model_that_no_probe_fits_is_watched_by_its_process(server: Running) -> None:
    (stub,) = stubs_of(server, "picky")
    os.kill(stub, signal.SIGKILL)
    await_unready(server)
    await_healed(server)
    assert stubs_of(server, "picky") not in ([], [stub])


def test_killed_triton_is_restarted_on_the_same_ports_with_the_same_models(server: Running) -> None:
    standins.add_model(Path(server.env["MODEL_REPOSITORY"]), "extra")
    admin(server, "/v2/repository/models/extra/load")
    admin(server, "/v2/repository/models/spare/unload")
    wait_until(
        lambda: "extra" in names(server) and "spare" not in names(server), "it was seen", DEADLINE
    )
    restarts, triton, (stub,) = (
        counter(server, RESTARTS),
        triton_of(server),
        stubs_of(server, "echo"),
    )
    os.kill(stub, signal.SIGSTOP)  # it cannot notice Triton's death
    os.kill(triton, signal.SIGKILL)
    await_unready(server)
    await_healed(server)
    assert infer(server, [1, 2, 3, 4]).status == 200
    assert names(server) == ["cached", "echo", "echo_image", "extra", "picky", "twice"]
    assert triton_of(server) != triton
    assert counter(server, RESTARTS) == restarts + 1
    assert stub not in stubs_of(server, "echo")
    assert len(list(Path("/dev/shm").glob(f"edgelens_*{run_of(server)}*"))) == 6
    admin(server, "/v2/repository/models/extra/unload")
    admin(server, "/v2/repository/models/spare/load")
    wait_until(
        lambda: "extra" not in names(server) and "spare" in names(server), "both seen", DEADLINE
    )


def test_models_that_were_out_of_reach_at_a_restart_are_served_as_soon_as_they_are_back(
    server: Running,
) -> None:
    served, repository = names(server), Path(server.env["MODEL_REPOSITORY"])
    elsewhere = repository.rename(repository.with_name("unmounted"))
    try:
        os.kill(triton_of(server), signal.SIGKILL)
        told = f"No model is left in {repository}: "
        wait_until(lambda: told in readiness(server).body.decode(), "it is said", DEADLINE)
        assert told in server.printed()
    finally:
        elsewhere.rename(repository)
    await_healed(server)
    assert names(server) == served


def test_frozen_triton_is_killed_and_restarted(server: Running) -> None:
    restarts, triton = counter(server, RESTARTS), triton_of(server)
    os.kill(triton, signal.SIGSTOP)
    await_unready(server)
    await_healed(server)
    assert triton_of(server) != triton
    assert counter(server, RESTARTS) == restarts + 1


def test_leaked_segments_are_reported_and_freed_by_a_restart(server: Running) -> None:
    restarts, shared_memory = counter(server, RESTARTS), Path("/dev/shm")
    name = next(shared_memory.glob(f"edgelens_*{run_of(server)}*")).name
    segment = shared_memory / f"{Run.from_name(name).prefix}of_a_dead_stub"
    segment.touch()
    os.truncate(segment, bearable() + 1)  # a hole: it takes no memory
    await_unready(server)
    await_healed(server)
    assert not segment.exists()
    assert counter(server, RESTARTS) == restarts + 1
    assert counter(server, "edgelens_leaked_shared_memory_bytes") == 0


def test_model_that_cannot_be_loaded_again_does_not_hurt_the_others(server: Running) -> None:
    restarts, echo = counter(server, RESTARTS), stubs_of(server, "echo")
    code = Path(server.env["MODEL_REPOSITORY"]) / "spare" / "1" / "model.py"
    code.write_text("raise ImportError('broken on disk')")
    try:
        os.kill(stubs_of(server, "spare")[0], signal.SIGKILL)
        wait_until(
            lambda: counter(server, RELOADS, model="spare") >= 2, "two reloads failed", DEADLINE
        )
        wait_until(lambda: "broken on disk" in server.printed(), "the reason is told", DEADLINE)
        answer = readiness(server)
        assert answer.status == 200  # or a balancer would keep everybody from the others
        assert json.loads(answer.body)["problems"] == ["spare: it could not be loaded again"]
        assert infer(server, [1, 2, 3, 4]).status == 200
    finally:
        code.write_text(standins.ECHO)
    await_healed(server)
    assert infer(server, [1, 2, 3, 4], "spare").status == 200
    assert counter(server, RESTARTS) == restarts
    assert stubs_of(server, "echo") == echo


def test_model_that_fails_from_its_reload_on_is_not_said_to_infer_again(server: Running) -> None:
    code = Path(server.env["MODEL_REPOSITORY"]) / "spare" / "1" / "model.py"
    code.write_text(standins.PICKY)
    try:
        os.kill(stubs_of(server, "spare")[0], signal.SIGKILL)
        failing = "spare still fails (it does not infer: "
        wait_until(lambda: failing in server.printed(), "its failure is told", DEADLINE)
        assert "spare infers again" not in server.printed().partition("spare: its Python")[2]
    finally:
        code.write_text(standins.ECHO)
    await_healed(server)


def test_process_that_ends_during_its_reload_does_not_hold_up_triton(server: Running) -> None:
    restarts = counter(server, RESTARTS)
    code = Path(server.env["MODEL_REPOSITORY"]) / "spare" / "1" / "model.py"
    code.write_text(standins.ENDS_ONCE)
    try:
        os.kill(stubs_of(server, "spare")[0], signal.SIGKILL)
        await_unready(server)
        await_healed(server)
    finally:
        code.write_text(standins.ECHO)
    assert code.with_name("ended").exists()
    assert infer(server, [1, 2, 3, 4], "spare").status == 200
    assert counter(server, RESTARTS) == restarts + 1


def test_process_that_ends_during_a_load_by_others_does_not_hold_up_triton(server: Running) -> None:
    restarts = counter(server, RESTARTS)
    model = standins.add_model(
        Path(server.env["MODEL_REPOSITORY"]), "doomed", code=standins.NEVER_CONFIGURED
    )
    answers: list[bool] = []
    loading = threading.Thread(target=load, args=(server, "doomed", answers))
    loading.start()
    try:
        wait_until(lambda: stubs_of(server, "doomed"), "its process is there", DEADLINE)
        seen = inferences(server, "cached")
        wait_until(
            lambda: inferences(server, "cached") >= seen + 3, "the launcher saw it", DEADLINE
        )
        os.kill(stubs_of(server, "doomed")[0], signal.SIGKILL)
        await_unready(server)
        await_healed(server)
        loading.join(DEADLINE)
    finally:
        shutil.rmtree(model)
    assert answers == [False]
    assert "the process of doomed died while it was being loaded" in server.printed()
    assert "doomed" not in names(server)
    assert counter(server, RESTARTS) == restarts + 1


def load(server: Running, model: str, answers: list[bool]) -> None:
    """Ask Triton for a model, and note whether it could."""
    try:
        answers.append(admin(server, f"/v2/repository/models/{model}/load").status == 200)
    except (OSError, http.client.HTTPException):  # Triton was killed
        answers.append(False)


def test_model_with_a_long_queue_is_not_reloaded(server: Running) -> None:
    reloads = counter(server, RELOADS, model="echo")
    requests = [in_background(server, standins.SLOW, times=8) for _ in range(6)]
    for request in requests:
        while request.is_alive():
            assert is_ready(server)
            request.join(0.1)
    assert counter(server, RELOADS, model="echo") == reloads


def test_model_that_refuses_some_requests_is_not_reloaded(server: Running) -> None:
    reloads = counter(server, RELOADS, model="echo")
    assert command(server, standins.FAIL).status == 500
    seen = inferences(server, "echo")
    wait_until(lambda: inferences(server, "echo") >= seen + 2, "it was probed twice", DEADLINE)
    assert is_ready(server)
    assert counter(server, RELOADS, model="echo") == reloads


def test_cached_model_is_really_asked_every_time(server: Running) -> None:
    seen = inferences(server, "cached")
    wait_until(lambda: inferences(server, "cached") >= seen + 3, "each probe inferred", DEADLINE)


def test_failure_of_a_cached_model_does_not_stay_in_the_cache(server: Running) -> None:
    restarts = counter(server, RESTARTS)
    assert command(server, standins.CRASH, "cached").status == 500
    await_unready(server)
    await_healed(server)
    assert counter(server, RESTARTS) == restarts + 1
    assert infer(server, [1, 2, 3, 4], "cached").status == 200


def test_models_that_others_load_and_unload_are_followed(server: Running) -> None:
    standins.add_model(Path(server.env["MODEL_REPOSITORY"]), "late")
    assert admin(server, "/v2/repository/models/late/load").status == 200
    wait_until(lambda: "late" in names(server), "the new model is watched", DEADLINE)
    wait_until(lambda: " late: now loaded: v1." in server.printed(), "it is told", DEADLINE)
    assert admin(server, "/v2/repository/models/late/unload").status == 200
    wait_until(lambda: "late" not in names(server), "it is watched no more", DEADLINE)
    gone = " late: now loaded: no version."
    wait_until(lambda: gone in server.printed(), "that is told, too", DEADLINE)
    assert is_ready(server)
    assert counter(server, RELOADS, model="late") == 0
