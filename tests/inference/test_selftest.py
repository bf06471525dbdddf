"""The self-test against a real Triton that serves correct models and ones with usual mistakes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.contract import Contract
from inference.contracts.answer import Answer
from inference.contracts.check import Check
from inference.contracts.errors import Deviation
from inference.contracts.expectation import Expectation
from inference.contracts.report import Report
from inference.contracts.variants import variants
from inference.locking import locked
from inference.selftest import main
from tests.inference.calls import admin
from tests.inference.contracted import (
    CONTRACT,
    FIRST_ONLY,
    LABELS,
    MIRRORED,
    MODEL,
    SWAPPED,
    add_classifier,
    add_ensemble,
    configuration,
    golden,
)
from tests.photos import photos
from tests.places import HOME
from tests.servers import Running, start_inference
from tests.stand_in import Quiet, standing_in

ROTATED = LABELS[1:] + LABELS[:1]
WRONG = {
    "swapped": "tensor over HTTP: wrong channel order (BGR instead of RGB)",
    "coarse_swapped": "tensor over gRPC: wrong channel order (BGR instead of RGB)",
    "coarse_swapped_label": "tensor over HTTP: wrong channel order (BGR instead of RGB)",
    "coarse_squeezed_label": "tensor over gRPC: wrong resize (squeezed instead of cropped)",
    "coarse_margins": "tensor over HTTP: wrong resize (shorter side 64 instead of 80)",
    "coarse_relabelled": "tensor over HTTP: wrong label file: class",
    "unbatched_swapped": "tensor over gRPC: wrong channel order (BGR instead of RGB)",
    "relabelled": "tensor over gRPC: wrong label file: class",
    "unlabelled": "tensor over HTTP: wrong label file: the answers carry no labels",
    "mislabelled": "tensor over HTTP: wrong label file: it is not the one the model was exported",
    "too_few_labels": "tensor over HTTP: wrong label file: it names 3 of the 10 classes",
    "drifted": "tensor over HTTP: the golden picture is 'n",
    "no_batch": "batch over gRPC: a picture gets a different answer in a batch of 4 than alone",
    "one_row": "batch over HTTP: 4 pictures get an answer of shape [1, 10]",
    "silent": "contract: the answer has no output 'probabilities'",
    "squeezing": "squeezing_image over HTTP: wrong resize (squeezed instead of cropped)",
    "swapping": "swapping_image over gRPC: wrong channel order (BGR instead of RGB)",
    "blurring": "blurring_image over HTTP: wrong interpolation (area instead of cubic)",
    "margins": "margins_image over HTTP: wrong resize (shorter side 64 instead of 80)",
    "relabelling": "relabelling_image over gRPC: wrong label file: class 0 is called",
}
STATED_WRONG = [
    ({"crop": "none"}, "wrong resize (squeezed instead of cropped)"),
    ({"colour_order": "BGR"}, "wrong channel order (BGR instead of RGB)"),
    ({"interpolation": "linear"}, "wrong interpolation (linear instead of cubic)"),
    ({"golden_tensor_sha256": "00" * 32}, "so export the version again (--version N --force)"),
    ({"golden_picture": "YWJj"}, "golden_picture: This is not a picture"),
    ({"golden_picture": "%%%"}, "parameter golden_picture is not base64"),
    ({"golden_picture": "für später"}, "parameter golden_picture is not base64"),
    ({"golden_label_v1": ""}, "lacks the parameter golden_label_v1"),
    ({"golden_probability_v1": "much"}, "golden_probability_v1 is not a number"),
    ({"crop": ""}, "lacks the parameter crop"),
    ({"width": "32"}, "input 'image' is TYPE_UINT8 [64, 64, 3], but the contract says"),
]
WITH_ENSEMBLE = {"right", "renewed"}
ALONE = {"right_without_ensemble", "coarse", "any_size", "one_by_one", "unbatched"}
RIGHT = WITH_ENSEMBLE | ALONE
WITHOUT_BATCH = {"one_by_one", "unbatched"}


def add_models(repository: Path) -> None:
    """Write one model for each mistake."""
    for name in ("right", "squeezing", "swapping", "blurring", "margins", "relabelling"):
        add_classifier(repository, name)
    add_classifier(repository, "right_without_ensemble")
    add_ensemble(repository, "right")
    add_ensemble(repository, "squeezing", crop="none")
    add_ensemble(repository, "swapping", colour_order="BGR")
    add_ensemble(repository, "blurring", interpolation="area")
    add_ensemble(repository, "margins", resize_shorter_side=64)
    add_ensemble(repository, "relabelling", labels=ROTATED)
    add_classifier(repository, "swapped", SWAPPED)
    add_coarse(repository)
    add_classifier(repository, "any_size")
    rewrite(repository / "any_size", "dims: [ 64, 64, 3 ]", "dims: [ -1, -1, 3 ]", "config.pbtxt")
    add_classifier(repository, "one_by_one", batch=1)
    add_classifier(repository, "unbatched", batch=0)
    add_classifier(repository, "unbatched_swapped", SWAPPED, batch=0)
    add_classifier(repository, ".right_candidate")
    add_classifier(repository, "no_batch", FIRST_ONLY)
    add_classifier(repository, "relabelled", labels=ROTATED)
    best = LABELS.index(golden()["golden_label_v1"])
    add_classifier(repository, "mislabelled", labels=swapped(LABELS, best - 2, best - 1))
    add_classifier(repository, "unlabelled", labels=[""])
    add_classifier(repository, "too_few_labels", labels=LABELS[:3])
    add_classifier(repository, "drifted", golden_probability_v1="0.111")
    add_renewed(repository)
    add_classifier(repository, "one_row")
    rewrite(repository / "one_row", "-3], 10)", "-3], 10)[:1]")
    add_classifier(repository, "silent")
    rewrite(repository / "silent", '[pb_utils.Tensor("probabilities", found)]', "[]")


def add_renewed(repository: Path) -> None:
    """Write a model whose newest version answers something else than its first."""
    newer = {name.replace("_v1", "_v2"): text for name, text in golden(mirrored=True).items()}
    add_classifier(repository, "renewed", **newer)
    add_ensemble(repository, "renewed")
    for name in ("renewed", "renewed_image"):
        (repository / name / "2").mkdir()
    (repository / "renewed/2/model.py").write_text(MODEL.replace("TAKEN", MIRRORED))
    with (repository / "renewed/config.pbtxt").open("a") as config:
        config.write("version_policy { all {} }\n")


def rewrite(directory: Path, old: str, new: str, name: str = "1/model.py") -> None:
    """Replace a part of a model's program or configuration."""
    file = directory / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def swapped(labels: list[str], one: int, other: int) -> list[str]:
    """Exchange two labels."""
    changed = list(labels)
    changed[one], changed[other] = labels[other], labels[one]
    return changed


def add_coarse(repository: Path) -> None:
    """Write models at precision auto, where an answer may be off by 0.1.

    Two of them find another best label than the golden one, at nearly its probability: a wrongly
    prepared picture looks like a wrong label file.
    """
    scale, hammer, dam = (photos()[number].data for number in (9, 5, 7))
    squeezed = golden(hammer, replace(CONTRACT, crop="none"))
    narrow = golden(dam, replace(CONTRACT, resize_shorter_side=64))
    auto = {"precision": "auto"}
    add_classifier(repository, "coarse", **auto)
    add_classifier(repository, "coarse_swapped", SWAPPED, **auto)
    add_classifier(repository, "coarse_swapped_label", SWAPPED, **golden(scale) | auto)
    add_classifier(repository, "coarse_squeezed_label", **squeezed | auto)
    add_classifier(repository, "coarse_margins", **narrow | auto)
    add_classifier(repository, "coarse_relabelled", labels=ROTATED, **auto)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("contracts")
    add_models(repository)
    with locked(repository / "right"), start_inference(repository) as running:  # as if deploying
        assert admin(running, "/v2/repository/models/.right_candidate/load").status == 200
        yield running


def selftest(server: Running, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inference.selftest", f"http://127.0.0.1:{server.http_port}"]
    return subprocess.run(
        [*command, "--grpc", f"127.0.0.1:{server.grpc_port}", *arguments],
        cwd=HOME,
        env=os.environ | {"EDGELENS_RUNTIME_DIR": str(server.runtime_dir)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def sections(served: Running) -> dict[str, list[str]]:
    """What the self-test of all models says about each."""
    finished = selftest(served)
    assert finished.returncode == 1, finished.stderr
    found: dict[str, list[str]] = {}
    for line in finished.stdout.splitlines():
        if match := re.fullmatch(r"(\S+):", line):
            lines = found.setdefault(match[1], [])
        elif line.startswith("  "):
            lines.append(line.strip())
    return found


def deviations(lines: list[str]) -> list[str]:
    return [re.sub(r"^deviates +", "", line) for line in lines if line.startswith("deviates")]


def test_every_model_with_a_contract_is_checked(sections: dict[str, list[str]]) -> None:
    # Without a width there is no contract; companions are checked with their model, and a version
    # under test by its deployment.
    assert sections.keys() == WRONG.keys() | RIGHT


@pytest.mark.parametrize("model", sorted(RIGHT))
def test_nothing_is_said_against_a_right_model(sections: dict[str, list[str]], model: str) -> None:
    assert deviations(sections[model]) == []
    ways = {"tensor over HTTP", "tensor over gRPC"}
    if model not in WITHOUT_BATCH:
        ways |= {"batch over HTTP", "batch over gRPC"}
    if model in WITH_ENSEMBLE:
        ways |= {f"{model}_image over HTTP", f"{model}_image over gRPC"}
    checked = {re.sub(r"^ok +", "", line) for line in sections[model] if line.startswith("ok")}
    assert checked == ways | {"contract", "golden tensor"}


@pytest.mark.parametrize("model", WRONG)
def test_a_mistake_is_called_by_its_name(sections: dict[str, list[str]], model: str) -> None:
    found = deviations(sections[model])
    assert any(line.startswith(WRONG[model]) for line in found)
    mistake = re.compile(r"wrong (channel order|resize|interpolation|label file)")
    named = {match[1] for line in found if (match := mistake.search(line))}
    assert named <= {match[1] for match in [mistake.search(WRONG[model])] if match}


def test_a_right_model_alone_is_success(served: Running) -> None:
    finished = selftest(served, "--model", "right", "--version", "01")
    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.endswith("No deviations.\n")


def test_without_an_address_the_server_of_the_settings_is_checked(tmp_path: Path) -> None:
    """It is this machine's, wherever it listens, and may be asked which models it has."""
    add_classifier(tmp_path, "right")
    with start_inference(tmp_path, TRITON_HOST="127.0.0.2") as running:
        ports = {"TRITON_HTTP_PORT": running.http_port, "TRITON_GRPC_PORT": running.grpc_port}
        finished = subprocess.run(
            [sys.executable, "-m", "inference.selftest"],
            cwd=HOME,
            env=running.env | {name: str(port) for name, port in ports.items()},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert finished.returncode == 0, finished.stderr
    assert re.search("^ +ok +tensor over gRPC$", finished.stdout, re.MULTILINE)


def test_an_older_version_is_checked_without_the_ensemble(served: Running) -> None:
    finished = selftest(served, "--model", "renewed", "--version", "1")
    assert finished.returncode == 0, finished.stdout
    assert "renewed_image follows version 2 and was not checked" in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "nowhere"], "nowhere cannot be checked: the server refuses"),
        (["--model", "right", "--version", "7"], "right cannot be checked"),
        (["--model", "right_image"], "right_image belongs to a model: check that one"),
        (["--grpc", "127.0.0.1:9"], "nothing answers over gRPC at 127.0.0.1:9"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(
    served: Running, arguments: list[str], sentence: str
) -> None:
    finished = selftest(served, *arguments)
    assert finished.returncode == 2
    assert sentence in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize("is_there", [False, True], ids=["no server", "gRPC's port"])
def test_where_no_http_is_spoken_it_is_one_sentence(served: Running, is_there: bool) -> None:
    url = f"http://127.0.0.1:{served.grpc_port if is_there else 9}"
    command = [sys.executable, "-m", "inference.selftest", url]
    finished = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert finished.stderr == (
        f"selftest: no Triton answers at {url}; is it running, and on that port?\n"
    )


def test_a_server_that_lists_no_models_wants_a_name(served: Running, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inference.selftest", f"http://127.0.0.1:{served.http_port}"]
    finished = subprocess.run(
        command,
        cwd=HOME,
        env=os.environ | {"EDGELENS_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 2
    assert "name one with --model" in finished.stderr


def test_a_server_whose_models_state_no_contract_is_not_called_right(server: Running) -> None:
    finished = selftest(server)
    assert finished.returncode == 2
    assert finished.stderr == "selftest: no model with a contract is loaded\n"


def test_without_grpc_it_is_said_that_only_http_is_checked(
    served: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRITON_HTTP_PORT", str(served.http_port))
    monkeypatch.setenv("TRITON_GRPC_PORT", "9")
    assert main(["--model", "right_without_ensemble"]) == 0
    said = capsys.readouterr().out
    assert "no gRPC at 127.0.0.1:9, so only HTTP is checked" in said
    assert "tensor over HTTP" in said
    assert "over gRPC" not in said


def test_a_wrong_setting_is_no_deviation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRITON_HTTP_PORT", "x")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("selftest: TRITON_HTTP_PORT='x' cannot be used")


class Stranger(Quiet):
    """Lives, and keeps what it is told to list its models with."""

    told: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.told.append(str(self.headers))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.parametrize(("host", "gets_it"), [("127.0.0.1", True), ("127.0.0.2", False)])
def test_only_the_server_of_this_machine_gets_its_admin_key(
    host: str, gets_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_ADMIN_KEY", "secret-key")
    with standing_in(Stranger, host) as stranger:
        assert main([f"http://{host}:{stranger.server_port}"]) == 2
    assert ("secret-key" in Stranger.told.pop()) is gets_it


def test_a_right_configuration_gives_the_golden_tensor() -> None:
    expected = Expectation.from_config(configuration(), "1")
    assert expected.tensor().shape == (64, 64, 3)
    assert expected.tolerance == 1e-3


@pytest.mark.parametrize(("changes", "sentence"), STATED_WRONG, ids=lambda value: str(value)[:40])
def test_a_configuration_that_contradicts_itself_is_named(changes: dict, sentence: str) -> None:
    with pytest.raises(Deviation, match=re.escape(sentence)):
        Expectation.from_config(configuration(**changes), "1").tensor()


def test_an_output_without_a_number_of_classes_is_named() -> None:
    config = configuration()
    config["output"][0]["dims"] = ["-1"]
    with pytest.raises(Deviation, match="give the number of classes"):
        Expectation.from_config(config, "1")


@pytest.mark.parametrize(
    ("right", "mistakes"),
    [
        (
            CONTRACT,
            [
                "channel order (BGR instead of RGB)",
                "resize (squeezed instead of cropped)",
                "channel order and resize (BGR, squeezed instead of RGB, cropped)",
                "resize (shorter side 64 instead of 80)",
            ],
        ),
        (
            Contract(64, 96, 96, "center", "cubic", "RGB", "0-255"),
            [
                "channel order (BGR instead of RGB)",
                "resize (squeezed instead of cropped)",
                "channel order and resize (BGR, squeezed instead of RGB, cropped)",
            ],
        ),
        (
            Contract(96, 64, 32, "none", "cubic", "BGR", "0-255"),
            [
                "channel order (RGB instead of BGR)",
                "resize (cropped instead of squeezed)",
                "channel order and resize (RGB, cropped instead of BGR, squeezed)",
            ],
        ),
    ],
    ids=["with a margin", "without a margin", "squeezed"],
)
def test_the_usual_mistakes_are_all_different_and_none_is_right(
    right: Contract, mistakes: list[str]
) -> None:
    contracts = [variant.contract for variant in variants(right)]
    assert len(set(contracts)) == len(contracts)
    assert right not in contracts
    for contract in contracts:
        Contract.from_parameters(contract.as_parameters())  # what it states is possible
    names = [variant.mistake() for variant in variants(right)]
    assert [name for name in names if "interpolation" not in name] == [
        f"wrong {mistake}" for mistake in mistakes
    ]


def test_classification_strings_may_lack_a_label_or_hold_colons() -> None:
    answer = Answer.from_strings([b"0.75:3:n00000003 a: b", b"0.25:1"], "1")
    assert (answer.best, answer.label, answer.probability) == (3, "n00000003 a: b", 0.75)
    assert answer.labels == {3: "n00000003 a: b"}
    assert str(Answer.from_strings([b"1.0:5"], "1")) == "'class 5' (1.0000)"


def test_a_newest_version_that_refuses_is_a_deviation_of_another_ones_check() -> None:
    class Refusing:
        def config(self, model: str, version: str = "") -> dict:
            return configuration() | {"name": model}

        def classify(self, *_: object) -> Answer:
            raise Deviation("the server refuses")

    expected = Expectation.from_config(configuration(), "1")
    report = Report(lambda line: None)
    Check([Refusing()], "right", "1", report)._check_ensembles(expected, expected.tensor())
    assert report.deviations == ["the newest version: the server refuses"]
