"""A model that the exporter did not write, brought in as model_repository/README.md says."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import running_gateway
from tests.photos import photos
from tests.places import HOME, INFERENCE_PYTHON
from tests.servers import start_inference

LABELS = ["apple", "pear", "plum", "fig", "quince"]
# What a reader already has: a model trained on pictures as the sample contract prepares them.
TRAINED = """
import keras
keras.utils.set_random_seed(3)
keras.Sequential([
    keras.Input([224, 224, 3]),
    keras.layers.Rescaling(1 / 127.5, -1),
    keras.layers.Conv2D(8, 7, 4, activation="relu"),
    keras.layers.GlobalMaxPooling2D(),
    keras.layers.Dense(5, "softmax"),
]).save("mine.keras")
"""
# What Keras itself answers for a photo.
ASKED = """
import json, sys
import numpy as np
from pathlib import Path
from gateway.contract import Contract
from gateway.image import to_tensor
contract = Contract(224, 224, 256, "center", "cubic", "RGB", "0-255")
tensor = to_tensor(Path(sys.argv[1]).read_bytes(), contract)
row = keras.models.load_model("mine.keras")(np.float32(tensor)[None], training=False)
print(json.dumps(np.asarray(row)[0].tolist()))
"""


def test_the_documents_way_to_serve_ones_own_model(tmp_path: Path) -> None:
    photo = photos()[0]
    readme = (HOME / "model_repository/README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (config,) = re.findall(r"```\n(platform.*?)```", readme, re.DOTALL)
    expected = json.loads(run(TRAINED + ASKED, tmp_path, str(photo.path)))
    run(code, tmp_path)
    model = tmp_path / "model_repository/mine"
    (model / "labels.txt").write_text("\n".join(LABELS))
    (model / "config.pbtxt").write_text(
        config + 'parameters { key: "precision" value { string_value: "f32" } }\n'
    )
    with (
        start_inference(tmp_path / "model_repository") as triton,
        running_gateway(triton, MODEL="mine") as gateway,
    ):
        answer = requests.post(f"{gateway.url}/v1/classify", data=photo.data, timeout=30).json()
    said = {p["label"]: p["probability"] for p in answer["results"][0]["predictions"]}
    assert said == pytest.approx(dict(zip(LABELS, expected, strict=True)), abs=1e-4)


def run(code: str, directory: Path, *arguments: str) -> str:
    """Run Python where TensorFlow is, in a directory."""
    done = subprocess.run(
        [INFERENCE_PYTHON, "-c", code, *arguments],
        cwd=directory,
        env={"PYTHONPATH": str(HOME), "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1] if done.stdout else ""
