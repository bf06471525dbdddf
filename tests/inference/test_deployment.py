"""The steps of a deployment and the files they change; the real server is met in tests/e2e."""

import subprocess
from pathlib import Path

import pytest

from inference.admin_key import find_admin_key
from inference.deploy import main
from inference.deployment.deployment import Deployment
from inference.deployment.errors import DeployError
from inference.deployment.memory import (
    available_memory,
    membership_of,
    needed_for,
    require_memory,
)
from inference.deployment.model_files import ModelFiles
from inference.deployment.pbtxt import with_field
from tests.waiting import wait_until

CONFIG = """\
# version_policy { all { } } would serve all
name: "cat"  # a name
platform: "tensorflow_savedmodel"
parameters { key: "name" value { string_value: "version_policy { braces \\" }" } }
response_cache { enable: true }
"""
PLENTY = 1 << 40


class Server:
    """Stands in for Triton: what is loaded follows config.pbtxt, and tests fail where told to."""

    def __init__(self, files: ModelFiles, loaded: set[int], unfit: str = "", refuses: bool = False):
        self.files, self.serving, self.unfit, self.refuses = files, loaded, unfit, refuses
        self.calls: list[str] = []
        self.forgotten: set[int] = set()  # versions of a candidate that nobody has removed
        self.companions: dict[str, set[int]] = {}
        self.served: list[set[int]] = []  # by a companion, after each load

    def versions(self, model: str) -> set[int]:
        own = {self.files.model: self.serving, self.files.candidate: self.forgotten}
        return {**own, **self.companions}.get(model, set())

    def load(self, model: str) -> None:
        self.calls.append(f"load {model}")
        text = (self.files.repository / model / "config.pbtxt").read_text()
        listed = text.rpartition("versions: [")[2].partition("]")[0]
        wanted = {int(version) for version in listed.split(",")}
        if self.refuses and model == self.files.model and not wanted <= self.serving:
            raise DeployError("load failed")
        if model == self.files.model:
            self.serving = wanted
        elif model in self.companions:
            self.companions[model] = wanted
            self.served.append(wanted)

    def unload(self, model: str) -> None:
        self.calls.append(f"unload {model}")

    def await_quiet(self, model: str, version: int) -> None:
        assert {version} < self.versions(model)
        self.calls.append(f"await {model} {version}")

    def test(self, model: str, version: int, title: str) -> None:
        self.calls.append(f"test {model} {version}")
        if self.unfit == model:
            raise DeployError("wrong channel order")


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A model with three versions of a kilobyte."""
    for version in (1, 2, 3):
        (tmp_path / f"cat/{version}").mkdir(parents=True)
        (tmp_path / f"cat/{version}/weights").write_bytes(bytes(1000))
    (tmp_path / "cat/labels.txt").write_text("cat\n")
    (tmp_path / "cat/config.pbtxt").write_text(CONFIG)
    return ModelFiles(tmp_path, "cat")


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


def test_an_ensemble_that_bears_the_number_is_not_loaded_again(
    files: ModelFiles, beside: Server
) -> None:
    beside.companions["cat_image"] = {2}
    deployment(files, beside).deploy(2, keep=1)
    assert "load cat_image" not in beside.calls


def test_the_ensemble_goes_back_too(files: ModelFiles, beside: Server) -> None:
    beside.unfit = "cat"
    with pytest.raises(DeployError, match="version 1 serves again"):
        deployment(files, beside).deploy(2, keep=1)
    assert beside.companions["cat_image"] == {1}


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


@pytest.mark.parametrize(("loaded", "apart"), [({2, 3}, False), ({3}, True)])
def test_a_roll_back_tests_apart_only_what_is_not_loaded(
    files: ModelFiles, loaded: set[int], apart: bool
) -> None:
    server = Server(files, loaded)
    deployment(files, server).roll_back(keep=1)
    assert ("test .cat_candidate 2" in server.calls) == apart
    assert server.calls[-1] == "test cat 2"


@pytest.mark.parametrize(("keep", "left"), [(0, {3}), (1, {2, 3}), (2, {1, 2, 3})])
def test_as_many_older_versions_stay_as_asked_for(
    files: ModelFiles, keep: int, left: set[int]
) -> None:
    server = Server(files, {1, 2})
    deployment(files, server).deploy(3, keep)
    assert server.serving == left


def test_a_version_that_fails_apart_is_never_loaded(files: ModelFiles) -> None:
    server = Server(files, {1}, unfit=".cat_candidate")
    with pytest.raises(DeployError, match=r"version 2 is not fit to serve: wrong channel order"):
        deployment(files, server).deploy(2, keep=1)
    assert "load cat" not in server.calls
    assert server.calls[-1] == "unload .cat_candidate"
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"
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

    server = Interrupted(files, {1})
    with pytest.raises(KeyboardInterrupt):
        deployment(files, server).deploy(2, keep=1)
    assert server.serving == {1}
    assert policy(files) == "version_policy { specific { versions: [ 1 ] } }"


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
    for text in (CONFIG, None):
        files.write(text)
        server = Server(files, loaded=set(), unfit="cat")
        with pytest.raises(DeployError, match="nothing is served"):
            deployment(files, server).deploy(2, keep=1)
        assert files.text() == text


def test_a_server_that_is_away_hides_neither_the_failure_nor_what_comes(files: ModelFiles) -> None:
    class Away(Server):
        def load(self, model: str) -> None:
            if "unload .cat_candidate" in self.calls:  # tested apart, and now in service
                raise DeployError("the server does not answer")
            super().load(model)

    with pytest.raises(DeployError, match=r"failed in service.*going back failed") as told:
        deployment(files, Away(files, loaded={1})).deploy(2, keep=1)
    assert "starts again serves version 1" in str(told.value)
    assert "versions: [ 1 ]" in policy(files)


def test_memory_that_cannot_hold_both_is_refused_before_anything_is_loaded(
    files: ModelFiles,
) -> None:
    server = Server(files, {1})
    with pytest.raises(DeployError, match=r"version 2 beside the others takes about 0\.2 GB"):
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


def test_a_second_deployment_at_the_same_time_is_refused(files: ModelFiles) -> None:
    with files.locked(), pytest.raises(DeployError, match="another deployment of cat is at work"):
        deployment(files, Server(files, {1})).deploy(2, keep=1)


def test_a_missing_version_or_model_is_named(files: ModelFiles) -> None:
    with pytest.raises(DeployError, match="no version 9 of cat"):
        files.version(9)
    for model in ("dog", "../cat"):
        with pytest.raises(DeployError, match="there is no model"):
            ModelFiles(files.repository, model).version(1)


def test_a_candidate_has_one_version_the_labels_and_no_cache(files: ModelFiles) -> None:
    files.write_candidate(2)
    candidate = files.repository / ".cat_candidate"
    assert sorted(path.name for path in candidate.iterdir()) == ["2", "config.pbtxt", "labels.txt"]
    assert (candidate / "2/weights").read_bytes() == bytes(1000)
    assert not (candidate / "2").readlink().is_absolute()
    text = (candidate / "config.pbtxt").read_text()
    assert '\nname: ".cat_candidate"  # a name\n' in text
    assert "response_cache { enable: false }" in text
    assert "version_policy { specific { versions: [ 2 ] } }" in text


def test_a_named_configuration_is_the_one_that_is_changed(files: ModelFiles) -> None:
    custom = files.directory / "configs/small.pbtxt"
    custom.parent.mkdir()
    custom.write_text(CONFIG)
    ModelFiles(files.repository, "cat", "small").pin([3])
    assert "[ 3 ]" in custom.read_text()
    assert files.config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name: "a"\n', 'name: "b"\n'),
        ("name : 'a' # name: x\n", 'name: "b" # name: x\n'),
        ("platform: 'x'", "platform: 'x'\nname: \"b\"\n"),
        ("", 'name: "b"\n'),
        ('x { name: "a" }, name: "a"; y: 1', 'x { name: "a" }, name: "b"; y: 1'),
        ('name: "a"\n  "c"\ny: [ { z: 1 } ]', 'name: "b"\ny: [ { z: 1 } ]'),
        ('z < name: "a" >\nname: "a"\nname: "c"', 'z < name: "a" >\nname: "b"\n'),
    ],
    ids=["plain", "spaced", "missing", "empty", "nested", "two literals", "given twice"],
)
def test_only_the_top_level_field_is_replaced(before: str, after: str) -> None:
    assert with_field(before, "name", ': "b"') == after


@pytest.mark.parametrize("text", ["name: {", "x: [1, 2", 'x: "unclosed\n'])
def test_a_broken_configuration_is_refused(text: str) -> None:
    with pytest.raises(DeployError, match=r"config\.pbtxt .*mend it first"):
        with_field(text, "name", ': "b"')


def test_strings_and_comments_hold_no_fields() -> None:
    text = with_field(CONFIG, "version_policy", " { latest { } }")
    assert text == CONFIG + "version_policy { latest { } }\n"


def test_memory_is_the_machines_without_a_limit(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 2000 kB\n")
    found = available_memory(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "none")
    assert found == 2000 << 10


@pytest.mark.parametrize(
    ("membership", "group", "texts"),
    [
        (
            "0::/a/b\n",
            "a",
            {
                "memory.max": "900000",
                "memory.current": "500000",
                "memory.stat": "anon 5\ninactive_file 100000\n",
            },
        ),
        (
            "4:cpu,memory:/a\n1:name=systemd:/\n",
            "memory/a",
            {
                "memory.limit_in_bytes": "900000",
                "memory.usage_in_bytes": "500000",
                "memory.stat": "total_inactive_file 100000\n",
            },
        ),
    ],
    ids=["version 2, set above", "version 1"],
)
def test_a_cgroups_limit_counts_with_its_idle_cache_as_free(
    tmp_path: Path, membership: str, group: str, texts: dict[str, str]
) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 2000 kB\n")
    (tmp_path / "membership").write_text(membership)
    directory = tmp_path / "cgroup" / group
    directory.mkdir(parents=True)
    for name, text in texts.items():
        (directory / name).write_text(text)
    found = available_memory(tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "membership")
    assert found == 500_000


def test_the_cgroup_that_counts_is_the_servers() -> None:
    command = ["tritonserver", "-c", "read line", "--http-port=65000"]
    with subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE) as server:
        # For an instant after `exec` a process has no command line.
        found = Path(f"/proc/{server.pid}/cgroup")
        wait_until(lambda: membership_of(65000) == found, "the server's is found", 10)
        assert membership_of(65001) == Path("/proc/self/cgroup")
        server.stdin.close()


def test_a_version_needs_more_than_its_files(files: ModelFiles) -> None:
    assert needed_for(files.version(1)) == 2300 + (150 << 20)
    require_memory([files.version(1)], 2300 + (150 << 20), "It")
    with pytest.raises(DeployError, match="It takes about"):
        require_memory([files.version(1)], 2299 + (150 << 20), "It")


def test_the_key_comes_from_the_environment_or_the_launchers_file(tmp_path: Path) -> None:
    directory = {"EDGELENS_RUNTIME_DIR": str(tmp_path)}
    assert find_admin_key(directory) == ""
    (tmp_path / "admin-key").write_text("from-the-file\n")
    assert find_admin_key(directory) == "from-the-file"
    assert find_admin_key({**directory, "TRITON_ADMIN_KEY": "given"}) == "given"


@pytest.mark.parametrize(
    "arguments",
    [["cat"], ["cat", "--version", "0"], ["cat", "--version", "x"], ["cat", "--keep", "-1"]],
    ids=["nothing to do", "version 0", "no number", "negative"],
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
