"""Where things are: the environments that contenders run in, and what a run keeps."""

from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
PEERS = HOME / ".venv-peers/bin"
GATEWAY = HOME / ".venv/bin/python"
INFERENCE = HOME / ".venv-inference/bin/python"
KEPT = HOME / ".cache/bench"
LOGS = KEPT / "logs"
PHOTOS = sorted((HOME / "tests/data/photos").glob("*.jpg"))
