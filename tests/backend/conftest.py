"""One Triton with every foreign model, shared by all tests of the backend."""

import subprocess
import sys

import pytest
import tritonclient.grpc as grpcclient

from tests.backend.client import Client
from tests.backend.lines import Lines
from tests.places import HOME
from tests.servers import start_inference

BUILDER = "tests.backend.foreign_models"


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """Build the SavedModels with TensorFlow, in a process of its own that ends afterwards."""
    directory = tmp_path_factory.mktemp("Bücher und Maße")
    built = subprocess.run(
        [sys.executable, "-m", BUILDER, directory],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return directory


@pytest.fixture(scope="session")
def server(foreign, tmp_path_factory):
    cache = tmp_path_factory.mktemp("schneller Vorrat für Übersetztes")
    # On a busy machine the watchdog must not mistake a slow model for a dead one.
    patience = {"TRITON_PROBE_PERIOD": "600", "TRITON_PROBE_TIMEOUT": "60"}
    with start_inference(
        foreign / "repository", EDGELENS_CACHE_DIR=str(cache), **patience
    ) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as connection:
        yield Client(connection, server)
