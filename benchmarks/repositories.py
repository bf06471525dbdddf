"""The model repositories that are measured: the same SavedModels at bf16 and at int8."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import HOME, INFERENCE

ROOT = HOME / ".cache/bench"
VGG16, LITE0 = "vgg16", "efficientnet_lite0"
WEIGHTS = {VGG16: "random", LITE0: "imagenet"}
PHOTOS = sorted((HOME / "tests/data/photos").glob("*.jpg"))
INT8 = ("model.int8.xml", "model.int8.bin")
AGREEMENT = re.compile(r"top-1 agreement with f32 ([\d.]+)%")


@dataclass(frozen=True)
class Repositories:
    """Two repositories with the same models, and what int8 costs in agreement with f32."""

    bf16: Path
    int8: Path
    agreement: float | None

    def saved_model(self, model: str, precision: str = "bf16") -> Path:
        """Return the SavedModel; for int8 the one with the int8 variant beside it."""
        repository = self.int8 if precision == "int8" else self.bf16
        return repository / model / "1/model.savedmodel"


def prepare(pictures: Path | None) -> Repositories:
    """Export both models, add int8 variants calibrated on `pictures`, and lay out the repositories.

    Without pictures VGG16 is calibrated on the test photographs, mirrored and cropped, which is
    enough for its speed, and the agreement of EfficientNet-Lite0 is not measured.
    """
    exported = ROOT / "exported"
    for model, weights in WEIGHTS.items():
        if not (exported / model / "1").exists():
            _export(exported, model, "--weights", weights)
    calibration = pictures or _variants()
    # Random weights separate no classes, so int8's agreement means nothing for VGG16.
    _export(exported, VGG16, "--quantize", str(calibration), "--min-agreement", "0")
    said = _export(exported, LITE0, "--quantize", str(calibration), "--min-agreement", "0")
    found = AGREEMENT.search(said)
    agreement = float(found[1]) / 100 if found and pictures else None
    return Repositories(_lay_out(exported, "bf16"), _lay_out(exported, "int8"), agreement)


def _export(repository: Path, *arguments: str) -> str:
    command = [str(INFERENCE), "export_model.py", *arguments, "--repository", str(repository)]
    run = subprocess.run(command, cwd=HOME, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout


def _lay_out(exported: Path, precision: str) -> Path:
    """Make a repository of links whose configurations ask for one precision."""
    repository = ROOT / precision
    shutil.rmtree(repository, ignore_errors=True)
    for model in WEIGHTS:
        version = repository / model / "1"
        version.mkdir(parents=True)
        source = exported / model
        config = (source / "config.pbtxt").read_text()
        wanted = config.replace('string_value: "auto"', f'string_value: "{precision}"')
        (repository / model / "config.pbtxt").write_text(wanted)
        shutil.copy(source / "labels.txt", repository / model)
        (version / "model.savedmodel").symlink_to(source / "1/model.savedmodel")
        if precision == "int8":
            for name in INT8:
                (version / name).symlink_to(source / "1" / name)
    return repository


def _variants() -> Path:
    """Write mirrored and cropped copies of the test photographs; return their directory."""
    import cv2

    directory = ROOT / "variants"
    directory.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        picture = cv2.imread(str(photo))
        height, width = picture.shape[:2]
        cuts = [picture, picture[:, ::-1], picture[: height * 3 // 4], picture[:, width // 4 :]]
        for number, cut in enumerate(cuts):
            cv2.imwrite(str(directory / f"{photo.stem}-{number}.png"), cut)
    return directory
