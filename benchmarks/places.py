"""Where things are: the environments that contenders run in, and what a run keeps."""

from inference.settings import HOME

PEERS = HOME / ".venv-peers/bin"
KEPT = HOME / ".cache/bench"
LOGS = KEPT / "logs"
PHOTOS = sorted((HOME / "tests/data/photos").glob("*.jpg"))
