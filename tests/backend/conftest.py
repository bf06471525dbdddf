"""One Triton with every foreign model, shared by all tests of the backend."""

import subprocess
import sys
from pathlib import Path

import pytest
import tritonclient.grpc as grpcclient

from tests.backend.client import Client
from tests.servers import start_inference

BUILDER = Path(__file__).with_name("foreign_models.py")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """Build the SavedModels with TensorFlow, in a process that takes TensorFlow with it."""
    directory = tmp_path_factory.mktemp("foreign")
    built = subprocess.run(
        [sys.executable, BUILDER, directory], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return directory


@pytest.fixture(scope="session")
def server(foreign, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    with start_inference(foreign / "repository", EDGELENS_CACHE_DIR=str(cache)) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as connection:
        yield Client(connection, server)
