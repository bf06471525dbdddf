"""The measured models: exported once, quantised once, and rebuilt when stale."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.places import HOME, KEPT, PHOTOS
from gateway.contract import Contract
from serving.processes import INFERENCE_PYTHON

ROOT = KEPT / "exported"  # both models in one repository, int8 variants beside the SavedModels
VGG16, LITE0 = "vgg16", "efficientnet_lite0"
CONTRACT = Contract(224, 224, 256, "center", "cubic", "RGB", "0-255")  # of both models
SIDE = CONTRACT.width
WEIGHTS = {VGG16: "random", LITE0: "imagenet"}
AGREEMENT = re.compile(r"top-1 agreement with f32 ([\d.]+)%")
# Exported models depend on the exporter and on the preprocessing that it checks itself with.
SOURCES = (
    "export_model.py",
    "exporter/*.py",
    "exporter/*.csv",
    "gateway/image*.py",
    "gateway/framing.py",
    "gateway/contract.py",
    "gateway/formats/*.py",
    "requirements/export.txt",
)


def prepare(pictures: Path | None) -> float | None:
    """Build what is missing in ROOT; return Lite0's int8 agreement with f32, None without pictures.

    VGG16's weights are random, so its int8 variant is for speed alone: it is calibrated on variants
    of the test photographs, and no agreement is required.
    """
    made = {"sources": sources_digest()}
    if _read(ROOT / "made.json") != made:
        shutil.rmtree(ROOT, ignore_errors=True)
        for model, weights in WEIGHTS.items():
            _export(model, "--weights", weights)
        (ROOT / "made.json").write_text(json.dumps(made))
    variants = _variants(ROOT.with_name("variants"))
    _quantise(VGG16, variants)
    agreement = _quantise(LITE0, pictures or variants)
    return agreement if pictures else None


def _quantise(model: str, pictures: Path) -> float | None:
    """Quantise, unless that was already done with the same pictures."""
    key = digest(path for path in pictures.iterdir() if path.is_file())
    note = ROOT / model / "int8.json"
    known = _read(note)
    if known.get("pictures") != key:
        said = _export(model, "--quantize", str(pictures), "--min-agreement", "0")
        found = AGREEMENT.search(said)
        known = {"pictures": key, "agreement": float(found[1]) / 100 if found else None}
        note.write_text(json.dumps(known))
    return known["agreement"]


def _export(*arguments: str) -> str:
    command = [str(INFERENCE_PYTHON), "export_model.py", *arguments, "--repository", str(ROOT)]
    run = subprocess.run(command, cwd=HOME, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout


def sources_digest() -> str:
    """Return a digest of what the exported models depend on."""
    return digest(path for pattern in SOURCES for path in HOME.glob(pattern))


def digest(paths: Iterable[Path]) -> str:
    """Return a digest of the files' names and contents."""
    total = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _variants(directory: Path) -> Path:
    """Write mirrored and cropped copies of the test photographs; return their directory."""
    import cv2

    directory.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        picture = cv2.imread(str(photo))
        height, width = picture.shape[:2]
        cuts = [picture, picture[:, ::-1], picture[: height * 3 // 4], picture[:, width // 4 :]]
        for number, cut in enumerate(cuts):
            cv2.imwrite(str(directory / f"{photo.stem}-{number}.png"), cut)
    return directory
