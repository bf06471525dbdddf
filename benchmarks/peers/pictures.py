"""What every peer does with a picture: decode, crop and label it as EdgeLens does."""

import os
from pathlib import Path

import cv2
import numpy as np

SIZE, SHORTER_SIDE = 224, 256
LABELS = [
    line.split(" ", 1)
    for line in Path(os.environ.get("BENCH_LABELS", os.devnull)).read_text().splitlines()
]
# As in EdgeLens: pictures are decoded concurrently, so OpenCV's own threads would only compete.
cv2.setNumThreads(1)


def tensor(jpeg: bytes) -> np.ndarray:
    """Return the picture as UINT8 RGB [224,224,3]: shorter side to 256, cubic, centre crop."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2]
    side = min(height, width) * SIZE / SHORTER_SIDE
    top, left = round((height - side) / 2), round((width - side) / 2)
    square = picture[top : top + round(side), left : left + round(side)]
    return cv2.cvtColor(
        cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2RGB
    )


def top5(probabilities: np.ndarray) -> dict[str, list[dict[str, object]]]:
    """Return the five best labels of one row of probabilities."""
    best = np.argpartition(probabilities, -5)[-5:]
    best = best[np.argsort(-probabilities[best])]
    return {
        "predictions": [
            {
                "wnid": LABELS[i][0],
                "label": LABELS[i][1],
                "probability": float(probabilities[i]),
            }
            for i in best
        ]
    }
