"""A server's HTTP or gRPC endpoint, asked with Triton's stock clients."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from gateway.address import Address, AddressError
from inference.admin_client import ADMIN_HEADER
from inference.contracts.answer import Answer
from inference.contracts.errors import Deviation, Unreachable

SECONDS = 60.0
AWAY = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED")
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Endpoint:
    """One of the two protocols; `name` is how a report calls it, `address` where it is."""

    name: str
    address: str
    _module: Any
    _client: Any
    _timeout: dict[str, float]

    @classmethod
    def http(cls, url: str) -> "Endpoint":
        """Open an HTTP endpoint: `http://host:port`, https and a path before `/v2` included."""
        try:
            address = Address.parse(url)
        except AddressError as error:
            raise Unreachable(str(error)) from None
        with _translated(url):
            client = tritonclient.http.InferenceServerClient(
                address.netloc + address.path,
                ssl=address.scheme == "https",
                connection_timeout=SECONDS,
                network_timeout=SECONDS,
            )
        return cls("HTTP", url, tritonclient.http, client, {})

    @classmethod
    def grpc(cls, address: str) -> "Endpoint":
        """Open a gRPC endpoint: `host:port`."""
        with _translated(address):
            client = tritonclient.grpc.InferenceServerClient(address)
        return cls("gRPC", address, tritonclient.grpc, client, {"client_timeout": SECONDS})

    def is_live(self) -> bool:
        """Tell whether a server answers there."""
        try:
            with _translated(self.address):
                return bool(self._client.is_server_live())
        except (Unreachable, Deviation):
            return False

    def models(self, key: str = "") -> list[tuple[str, str]]:
        """List the loaded (model, version) pairs over HTTP. Raises Deviation if that is closed."""
        with _translated(self.address):
            entries = self._client.get_model_repository_index(headers={ADMIN_HEADER: key})
        return [(e["name"], e.get("version", "")) for e in entries if e.get("state") == "READY"]

    def config(self, model: str, version: str = "") -> dict[str, Any]:
        """Fetch a model's configuration over HTTP. Raises Deviation if there is no such model."""
        with _translated(self.address):
            found: dict[str, Any] = self._client.get_model_config(model, version)
        return found

    def classify(self, model: str, version: str, batch: Array, names: "Names") -> Answer:
        """Ask for all labels of a batch's first picture: UINT8 [N,H,W,3], or BYTES [N,1].

        Without a batch dimension it is the only one.
        """
        wanted = self._module.InferRequestedOutput(names.output, class_count=names.classes)
        result = self._infer(model, version, batch, names, wanted)
        version = result.get_response(**self._as_json)["model_version"]
        rows = result.as_numpy(names.output)
        if rows is None:
            raise Deviation(f"the answer has no output '{names.output}'")
        return Answer.from_strings(rows.reshape(-1, rows.shape[-1])[0], version)

    def probabilities(self, model: str, version: str, batch: Array, names: "Names") -> Array:
        """Ask for a batch's probabilities, FP32 [N,classes]."""
        wanted = self._module.InferRequestedOutput(names.output)
        found = self._infer(model, version, batch, names, wanted).as_numpy(names.output)
        if found is None or found.shape != (len(batch), names.classes):
            shape = None if found is None else list(found.shape)
            raise Deviation(f"{len(batch)} pictures get an answer of shape {shape}")
        return np.asarray(found)

    @property
    def _as_json(self) -> dict[str, bool]:
        return {"as_json": True} if self._module is tritonclient.grpc else {}

    def _infer(self, model: str, version: str, batch: Array, names: "Names", wanted: Any) -> Any:
        kind = "BYTES" if batch.dtype == np.object_ else "UINT8"
        tensor = self._module.InferInput(names.input, list(batch.shape), kind)
        tensor.set_data_from_numpy(batch)
        with _translated(self.address):
            return self._client.infer(
                model, [tensor], model_version=version, outputs=[wanted], **self._timeout
            )


@dataclass(frozen=True)
class Names:
    """A model's tensors and how many classes it knows."""

    input: str
    output: str
    classes: int


@contextlib.contextmanager
def _translated(address: str) -> Iterator[None]:
    """Turn what the clients raise into Unreachable, or Deviation with the server's words."""
    try:
        yield
    except InferenceServerException as error:
        if error.status() in AWAY:
            raise Unreachable(f"nothing answers at {address}") from None
        raise Deviation(f"the server refuses: {error.message()}") from None
    except HTTPException:
        told = f"the answer from {address} is not HTTP (gRPC's port?), or was cut off"
        raise Unreachable(told) from None
    except (OSError, ValueError) as error:
        raise Unreachable(f"nothing answers at {address} ({error})") from None
