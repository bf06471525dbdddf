"""Repository control over gRPC.

Over HTTP, Triton 24.10 runs a load to its end in one of its threads. Meanwhile all connections of
other clients that this thread has accepted are stalled.
"""

import grpc
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from inference.admin_client import ADMIN_HEADER
from inference.errors import TritonAway, TritonRefused, TritonSilent

REFUSED = 400  # the HTTP status that such an error would have


class GrpcControl:
    """Loads and unloads models of one Triton, with its key."""

    def __init__(self, address: str, admin_key: str) -> None:
        self._address = address
        self._headers = {f"triton-grpc-protocol-{ADMIN_HEADER}": admin_key}

    def load(self, model: str, timeout: float) -> None:
        """Load a model, or reload it. Raises TritonError."""
        self._call("load_model", model, timeout)

    def unload(self, model: str, timeout: float) -> None:
        """Unload a model. Raises TritonError."""
        self._call("unload_model", model, timeout)

    def _call(self, name: str, model: str, timeout: float) -> None:
        try:
            with tritonclient.grpc.InferenceServerClient(self._address) as client:
                call = getattr(client, name)
                call(model, headers=self._headers, client_timeout=timeout)
        except InferenceServerException as error:
            if error.status() == str(grpc.StatusCode.UNAVAILABLE):
                raise TritonAway(error.message()) from None
            if error.status() == str(grpc.StatusCode.DEADLINE_EXCEEDED):
                raise TritonSilent(f"no answer within {timeout:g} s") from None
            raise TritonRefused(REFUSED, error.message()) from None
