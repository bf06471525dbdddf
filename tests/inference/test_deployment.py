"""The steps of a deployment and the files they change; tests/e2e uses the real server."""

import errno
import os
import shutil
import signal
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from inference.deployment import model_files
from inference.deployment.deployment import Deployment
from inference.deployment.errors import DeployError
from inference.deployment.model_files import ModelFiles
from inference.writing import write_text
from tests.inference.deployed import CONFIG

PLENTY = 1 << 40


class Server:
    """Stands in for Triton: loads what config.pbtxt says, and fails self-tests when told to."""

    def __init__(self, files: ModelFiles, loaded: set[int], unfit: str = "", refuses: bool = False):
        self.files, self.serving, self.unfit, self.refuses = files, loaded, unfit, refuses
        self.calls: list[str] = []
        self.forgotten: set[int] = set()  # versions of a candidate that was never removed
        self.companions: dict[str, set[int]] = {}
        self.served: list[set[int]] = []  # by a companion, after each load

    def versions(self, model: str) -> set[int]:
        own = {self.files.model: self.serving, self.files.candidate: self.forgotten}
        return {**own, **self.companions}.get(model, set())

    def finds(self, model: str) -> bool:
        return (self.files.repository / model).is_dir()

    def config(self, model: str) -> dict:
        return {}

    def load(self, model: str) -> None:
        self.calls.append(f"load {model}")
        directory = self.files.repository / model
        text = (directory / "config.pbtxt").read_text()
        listed = text.rpartition("versions: [")[2].partition("]")[0]
        wanted = {int(version) for version in listed.split(",")}
        if self.refuses and model == self.files.model and not wanted <= self.serving:
            raise DeployError("load failed")
        if model == self.files.model:
            self.serving = wanted
        elif model in self.companions:
            there = {number for number in wanted if (directory / str(number)).is_dir()}
            self.companions[model] = there
            self.served.append(there)

    def unload(self, model: str) -> None:
        self.calls.append(f"unload {model}")

    def await_quiet(self, model: str, version: int) -> None:
        assert {version} < self.versions(model)
        self.calls.append(f"await {model} {version}")

    def test(self, model: str, version: int, title: str) -> None:
        self.calls.append(f"test {model} {version}")
        if self.unfit == model:
            raise DeployError("wrong channel order")


def deployment(files: ModelFiles, server: Server, memory: int = PLENTY) -> Deployment:
    return Deployment(files, server, lambda line: None, lambda: memory)


def policy(files: ModelFiles) -> str:
    return files.config.read_text().splitlines()[-1]


def test_a_version_is_tested_apart_before_the_model_loads_it(files: ModelFiles) -> None:
    server = Server(files, {1})
    deployment(files, server).deploy(2, keep=1)
    apart = ["load .cat_candidate", "test .cat_candidate 2", "unload .cat_candidate"]
    assert server.calls == [*apart, "load cat", "test cat 2"]
    assert server.serving == {1, 2}
    assert policy(files) == "version_policy { specific { versions: [ 1, 2 ] } }"


def test_a_model_without_golden_answers_is_refused_before_anything_is_written(
    files: ModelFiles,
) -> None:
    others = CONFIG.replace("golden_label_v2", "golden_label_v9")
    files.config.write_text(others)
    with pytest.raises(DeployError, match=r"what version 2 answers .* restart the server"):
        deployment(files, Server(files, {3})).deploy(2, keep=1)
    assert files.config.read_text() == others
    files.config.unlink()
    with pytest.raises(DeployError, match="what version 2 answers"):
        deployment(files, Server(files, {3})).deploy(2, keep=1)
    assert not files.config.exists()


@pytest.mark.parametrize(
    ("known", "cached", "refused"),
    [("dog", True, True), ("dog", False, False), ("cat", True, False), ("", True, False)],
    ids=["other answers", "never cached", "the same answers", "a new number"],
)
def test_only_a_number_that_a_cache_may_know_with_other_answers_is_refused(
    files: ModelFiles, known: str, cached: bool, refused: bool
) -> None:
    stated = {"golden_label_v1": {"string_value": "old"}}
    if known:
        stated["golden_label_v2"] = {"string_value": known}
    server = Server(files, {1})
    server.config = lambda model: {"response_cache": {"enable": cached}, "parameters": stated}
    with pytest.raises(DeployError, match="under a new number") if refused else nullcontext():
        deployment(files, server).deploy(2, keep=1)
    assert server.serving == ({1} if refused else {1, 2})


def test_the_last_line_tells_what_is_served_now(files: ModelFiles) -> None:
    said: list[str] = []
    Deployment(files, Server(files, {1, 2}), said.append, lambda: PLENTY).deploy(3, keep=1)
    assert said == ["cat: version 3 serves; still addressable: 2; unloaded: 1"]


@pytest.fixture
def beside(files: ModelFiles) -> Server:
    """A server of version 1 with its decoder, which is loaded, and its ensemble."""
    for name in ("cat_decode", "cat_image"):
        (files.repository / name / "1").mkdir(parents=True)
        (files.repository / name / "config.pbtxt").write_text(f'name: "{name}"\nversions: [ 1 ]\n')
    server = Server(files, {1})
    server.companions = {"cat_decode": {1}, "cat_image": {1}}
    return server


def test_the_ensemble_bears_the_number_of_the_version_behind_it(
    files: ModelFiles, beside: Server
) -> None:
    deployment(files, beside).deploy(2, keep=1)
    assert beside.companions == {"cat_decode": {1}, "cat_image": {2}}
    renumbered = ["load cat_image", "await cat_image 1", "load cat_image"]
    assert beside.calls[-5:] == ["load cat", *renumbered, "test cat 2"]
    assert beside.served[-2:] == [{1, 2}, {2}]
    assert (files.repository / "cat_image/2").is_dir()
    deployment(files, beside).roll_back(keep=1)
    assert beside.companions["cat_image"] == {1}
    assert ModelFiles(files.repository, "cat_image").config.read_text().endswith("[ 1 ] } }\n")


def test_a_start_after_a_killed_deployment_gives_the_ensemble_the_number_that_serves(
    files: ModelFiles, beside: Server
) -> None:
    ensemble = ModelFiles(files.repository, "cat_image")
    numbers: list[str] = []

    class Watched(Server):
        def load(self, model: str) -> None:
            if model == files.model:  # if the deployment were killed now
                assert (ensemble.directory / "2").is_dir()
                numbers.append(ensemble.config.read_text().splitlines()[-1])
            super().load(model)

    server = Watched(files, {1})
    server.companions = beside.companions
    deployment(files, server).deploy(2, keep=1)
    assert numbers == ["version_policy { specific { versions: [ 2 ] } }"]


def test_old_numbers_of_the_ensemble_leave_no_directories(
    files: ModelFiles, beside: Server
) -> None:
    ensemble = files.repository / "cat_image"
    for version in (2, 3):
        deployment(files, beside).deploy(version, keep=0)
    assert [path.name for path in ensemble.iterdir() if path.is_dir()] == ["3"]
    (ensemble / "3/notes").touch()
    deployment(files, beside).roll_back(keep=0)
    assert sorted(path.name for path in ensemble.iterdir() if path.is_dir()) == ["2", "3"]


def test_another_server_of_the_repository_keeps_the_old_number_until_it_is_quiet(
    files: ModelFiles, beside: Server
) -> None:
    another = Server(files, {1})
    another.companions = dict(beside.companions)
    for server in (beside, another):
        deployment(files, server).deploy(2, keep=1)
        assert server.served == [{1, 2}, {2}]


def test_an_ensemble_that_bears_the_number_is_not_loaded_again(
    files: ModelFiles, beside: Server
) -> None:
    beside.companions["cat_image"] = {2}
    deployment(files, beside).deploy(2, keep=1)
    assert "load cat_image" not in beside.calls


def test_the_ensemble_goes_back_too(files: ModelFiles, beside: Server) -> None:
    beside.unfit, beside.serving = "cat", {1, 2}
    with pytest.raises(DeployError, match="version 2 serves again"):
        deployment(files, beside).deploy(3, keep=1)
    assert beside.companions["cat_image"] == {2}


def test_an_ensemble_that_could_not_follow_is_named_before_anything_changes(
    files: ModelFiles, beside: Server
) -> None:
    (files.repository / "cat_image/config.pbtxt").write_text("name: {")
    with pytest.raises(DeployError, match=r"/cat_image/config\.pbtxt .*fix it first"):
        deployment(files, beside).deploy(2, keep=1)
    assert beside.calls == []
    assert files.config.read_text() == CONFIG


def test_companions_that_are_not_loaded_are(files: ModelFiles, beside: Server) -> None:
    beside.companions = {"cat_decode": set(), "cat_image": set()}
    deployment(files, beside).deploy(2, keep=1)
    assert beside.companions == {"cat_decode": {1}, "cat_image": {2}}


def test_what_a_killed_deployment_left_is_unloaded_first(files: ModelFiles) -> None:
    server = Server(files, {1})
    server.forgotten = {3}
    deployment(files, server).deploy(2, keep=1)
    assert server.calls[:2] == ["unload .cat_candidate", "load .cat_candidate"]


def test_a_loaded_version_is_tested_apart_again_for_it_may_have_been_replaced(
    files: ModelFiles,
) -> None:
    server = Server(files, {1, 2}, unfit=".cat_candidate")
    with pytest.raises(DeployError, match="version 2 is not fit to serve"):
        deployment(files, server).deploy(2, keep=1)
    assert "load cat" not in server.calls
    assert server.serving == {1, 2}


@pytest.mark.parametrize(
    ("loaded", "version", "apart"), [({2, 3}, 2, False), ({1, 3}, 1, False), ({3}, 2, True)]
)
def test_a_roll_back_prefers_what_is_loaded_and_tests_apart_what_is_not(
    files: ModelFiles, loaded: set[int], version: int, apart: bool
) -> None:
    server = Server(files, loaded)
    deployment(files, server).roll_back(keep=1)
    assert (f"test .cat_candidate {version}" in server.calls) == apart
    assert server.calls[-1] == f"test cat {version}"


@pytest.mark.parametrize("loaded", [{1, 2}, {1, 2, 3}], ids=["new", "deployed again"])
@pytest.mark.parametrize(("keep", "left"), [(0, {3}), (1, {2, 3}), (2, {1, 2, 3})])
def test_as_many_older_versions_stay_as_asked_for(
    files: ModelFiles, loaded: set[int], keep: int, left: set[int]
) -> None:
    server = Server(files, loaded)
    deployment(files, server).deploy(3, keep)
    assert server.serving == left


def test_a_version_that_is_not_there_changes_nothing(files: ModelFiles) -> None:
    before = files.texts()
    server = Server(files, {1})
    with pytest.raises(DeployError, match="there is no version 9 of cat"):
        deployment(files, server).deploy(9, keep=1)
    assert server.calls == []
    assert files.texts() == before


def test_a_model_that_is_not_there_is_neither_deployed_nor_rolled_back(files: ModelFiles) -> None:
    missing = deployment(ModelFiles(files.repository, "dog"), Server(files, {1}))
    for begin in (partial(missing.deploy, 2), missing.roll_back):
        with pytest.raises(DeployError, match="there is no model dog in"):
            begin(keep=1)


def test_a_version_that_fails_apart_is_never_loaded(files: ModelFiles) -> None:
    server = Server(files, {1}, unfit=".cat_candidate")
    with pytest.raises(DeployError, match=r"version 2 is not fit to serve: wrong channel order"):
        deployment(files, server).deploy(2, keep=1)
    assert "load cat" not in server.calls
    assert server.calls[-1] == "unload .cat_candidate"
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"
    assert not (files.repository / files.candidate).exists()


def test_a_version_that_ends_the_server_is_not_fit_to_serve(files: ModelFiles) -> None:
    class Ending(Server):
        def unload(self, model: str) -> None:
            raise DeployError("the server does not answer")

    for unfit in ("", ".cat_candidate"):
        with pytest.raises(DeployError, match="version 2 is not fit to serve: the server does not"):
            deployment(files, Ending(files, {1}, unfit)).deploy(2, keep=1)
        assert not (files.repository / files.candidate).exists()


def test_a_version_that_fails_in_service_is_taken_back(files: ModelFiles) -> None:
    server = Server(files, {1}, unfit="cat")
    with pytest.raises(DeployError, match="wrong channel order; version 1 serves again"):
        deployment(files, server).deploy(2, keep=1)
    assert server.serving == {1}
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"


def test_a_version_is_taken_back_by_who_interrupts_its_test_in_service(files: ModelFiles) -> None:
    class Interrupted(Server):
        def test(self, model: str, version: int, title: str) -> None:
            if model == self.files.model:
                raise KeyboardInterrupt

    server, said = Interrupted(files, {1}), []
    with pytest.raises(KeyboardInterrupt):
        Deployment(files, server, said.append, lambda: PLENTY).deploy(2, keep=1)
    assert said == ["interrupted in service; version 1 serves again"]
    assert server.serving == {1}
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"


class InterruptedCleaning(Server):
    """Somebody presses Ctrl-C while the version under test is unloaded."""

    def unload(self, model: str) -> None:
        signal.raise_signal(signal.SIGINT)
        super().unload(model)


def test_who_interrupts_the_end_of_the_separate_test_stops_the_deployment(
    files: ModelFiles,
) -> None:
    server = InterruptedCleaning(files, {1})
    with pytest.raises(KeyboardInterrupt):
        deployment(files, server).deploy(2, keep=1)
    assert server.calls[-1] == "unload .cat_candidate"
    assert server.serving == {1}
    assert not (files.repository / files.candidate).exists()


def test_an_interruption_of_the_cleaning_up_does_not_hide_why_it_was_needed(
    files: ModelFiles,
) -> None:
    with pytest.raises(DeployError, match="version 2 is not fit to serve"):
        deployment(files, InterruptedCleaning(files, {1}, ".cat_candidate")).deploy(2, keep=1)


def test_a_version_that_cannot_be_loaded_is_taken_back(files: ModelFiles) -> None:
    server = Server(files, {1}, refuses=True)
    with pytest.raises(DeployError, match="load failed; version 1 serves again"):
        deployment(files, server).deploy(2, keep=1)
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"


def test_a_first_version_that_fails_leaves_nothing_loaded(files: ModelFiles) -> None:
    server = Server(files, set(), unfit="cat")
    with pytest.raises(DeployError, match="nothing is served"):
        deployment(files, server).deploy(2, keep=1)
    assert server.calls[-1] == "unload cat"


def test_a_first_version_that_fails_leaves_the_configuration_as_it_was(files: ModelFiles) -> None:
    server = Server(files, loaded=set(), unfit="cat")
    with pytest.raises(DeployError, match="nothing is served"):
        deployment(files, server).deploy(2, keep=1)
    assert files.config.read_text() == CONFIG


def test_a_first_version_that_fails_leaves_the_ensemble_as_it_was(
    files: ModelFiles, beside: Server
) -> None:
    ensemble = ModelFiles(files.repository, "cat_image")
    before = ensemble.texts()
    beside.unfit, beside.serving = "cat", set()
    with pytest.raises(DeployError, match="nothing is served"):
        deployment(files, beside).deploy(2, keep=1)
    assert ensemble.texts() == before


def test_a_server_that_is_away_hides_neither_the_failure_nor_what_comes(files: ModelFiles) -> None:
    class Away(Server):
        def load(self, model: str) -> None:
            if "unload .cat_candidate" in self.calls:  # tested apart, and now in service
                raise DeployError("the server does not answer")
            super().load(model)

    with pytest.raises(DeployError, match=r"failed in service.*the rollback failed") as told:
        deployment(files, Away(files, loaded={1, 2})).deploy(3, keep=1)
    assert "after a restart, the server serves version 2" in str(told.value)
    assert "versions: [ 1, 2 ]" in policy(files)


@pytest.mark.parametrize(
    ("failures", "outcome"),
    [
        (1, "version 1 serves again"),
        (9, "the rollback failed too: .*; the deployed version may go on"),
    ],
    ids=["once", "for good"],
)
def test_a_disk_that_fills_up_during_the_switch_hides_neither_that_nor_what_serves(
    files: ModelFiles,
    beside: Server,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    outcome: str,
) -> None:
    failing = iter(range(failures))

    def write(path: Path, text: str) -> None:
        if "load cat" in beside.calls and next(failing, None) is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_text(path, text)

    monkeypatch.setattr(model_files, "write_text", write)
    with pytest.raises(DeployError, match=f"failed in service: .*No space left.*{outcome}"):
        deployment(files, beside).deploy(2, keep=1)
    assert beside.serving == ({1} if failures == 1 else {1, 2})


def test_a_disk_that_fills_up_before_the_switch_leaves_what_served_in_every_configuration(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = files.directory / "configs/small.pbtxt"
    last.parent.mkdir()
    last.write_text(CONFIG)

    def write(path: Path, text: str) -> None:
        if path == last and "[ 1, 2 ]" in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_text(path, text)

    monkeypatch.setattr(model_files, "write_text", write)
    with pytest.raises(DeployError, match=r"No space left.*version 1 serves again"):
        deployment(files, Server(files, {1})).deploy(2, keep=1)
    for text in files.texts().values():
        assert text.endswith("version_policy { specific { versions: [ 1 ] } }\n")


def test_a_first_version_that_ends_the_server_leaves_its_next_start_to_the_configuration(
    files: ModelFiles,
) -> None:
    class Ended(Server):
        def unload(self, model: str) -> None:
            if model == self.files.model:
                raise DeployError("the server does not answer")

    server = Ended(files, set(), unfit="cat")
    with pytest.raises(DeployError, match=r"the server serves what config\.pbtxt says"):
        deployment(files, server).deploy(2, keep=1)


def test_a_server_that_dies_is_started_again_with_the_old_number_of_the_ensemble(
    files: ModelFiles, beside: Server
) -> None:
    class Dying(Server):
        def load(self, model: str) -> None:
            if "test cat 3" in self.calls:
                raise DeployError("the server does not answer")
            super().load(model)

    server = Dying(files, {1, 2}, unfit="cat")
    server.companions = beside.companions
    with pytest.raises(DeployError, match="the rollback failed"):
        deployment(files, server).deploy(3, keep=1)
    assert ModelFiles(files.repository, "cat_image").config.read_text().endswith("[ 2 ] } }\n")
    assert (files.repository / "cat_image/2").is_dir()


def test_a_server_that_loads_other_versions_than_it_was_told_is_taken_back(
    files: ModelFiles,
) -> None:
    class Stubborn(Server):
        def load(self, model: str) -> None:
            super().load(model)
            self.serving = {1}

    with pytest.raises(DeployError, match="Triton loaded the versions 1; version 1 serves again"):
        deployment(files, Stubborn(files, {1})).deploy(2, keep=1)
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"


def test_what_is_loaded_without_its_files_is_not_to_be_gone_back_to(files: ModelFiles) -> None:
    before = files.texts()
    shutil.rmtree(files.version(1))
    server = Server(files, {1})
    with pytest.raises(DeployError, match=r"its files are gone from .*with --keep 0"):
        deployment(files, server).deploy(2, keep=1)
    assert server.calls == []
    assert files.texts() == before
    deployment(files, server).deploy(2, keep=0)
    assert server.serving == {2}


def test_a_failure_with_nothing_to_go_back_to_leaves_what_the_next_start_can_load(
    files: ModelFiles,
) -> None:
    shutil.rmtree(files.version(1))
    server = Server(files, {1}, unfit="cat")
    with pytest.raises(DeployError, match="previous version's files are gone; version 2 serves"):
        deployment(files, server).deploy(2, keep=0)
    assert policy(files) == "version_policy { specific { versions: [ 2 ] } }"


def test_a_failure_goes_back_to_what_still_has_its_files(files: ModelFiles) -> None:
    shutil.rmtree(files.version(2))
    server = Server(files, {1, 2}, unfit="cat")
    with pytest.raises(DeployError, match="version 1 serves again"):
        deployment(files, server).deploy(3, keep=0)
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"


def test_memory_that_cannot_hold_both_is_refused_before_anything_is_loaded(
    files: ModelFiles,
) -> None:
    server = Server(files, {1})
    with pytest.raises(DeployError, match="version 2 beside the others takes about 158 MB"):
        deployment(files, server, memory=100_000_000).deploy(2, keep=1)
    assert server.calls == []


def test_the_switch_needs_memory_for_the_old_version_too(files: ModelFiles) -> None:
    server = Server(files, {1})
    with pytest.raises(DeployError, match="Switching to version 1 and 2 takes"):
        deployment(files, server, memory=200_000_000).deploy(2, keep=1)
    assert "load cat" not in server.calls


def test_roll_back_goes_to_the_version_before(files: ModelFiles) -> None:
    server = Server(files, {2, 3})
    deployment(files, server).roll_back(keep=1)
    assert server.serving == {2}
    deployment(files, server).roll_back(keep=1)
    assert server.serving == {1}
    with pytest.raises(DeployError, match="no version of cat before 1"):
        deployment(files, server).roll_back(keep=1)
    with pytest.raises(DeployError, match="cat is not loaded: there is nothing to roll back"):
        deployment(files, Server(files, set())).roll_back(keep=1)


def test_a_roll_back_is_not_overtaken_by_a_deployment(files: ModelFiles) -> None:
    server = Server(files, {1, 2})
    versions, refusals = server.versions, []

    def overtake(model: str) -> set[int]:
        found = versions(model)
        if not refusals:
            with pytest.raises(DeployError) as refusal:
                deployment(files, Server(files, {1, 2})).deploy(3, keep=1)
            refusals.append(str(refusal.value))
        return found

    server.versions = overtake
    deployment(files, server).roll_back(keep=1)
    assert refusals == [
        "another deployment or an export of cat is at work; try again when it has ended"
    ]
    assert server.serving == {1}


def test_a_second_deployment_at_the_same_time_is_refused(files: ModelFiles) -> None:
    with files.locked(), pytest.raises(DeployError, match="export of cat is at work"):
        deployment(files, Server(files, {1})).deploy(2, keep=1)
