"""With the default settings, every endpoint reports within ten seconds that a model is ill."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import psutil
import pytest
import requests

from tests.chaos.faults import FAULTS
from tests.chaos.healing import IS_JUDGED, NOTICED_WITHIN, PATIENCE
from tests.chaos.load import steady_load
from tests.e2e.conftest import Gateway, is_ready
from tests.servers import Running
from tests.waiting import wait_until

ILL = {"launcher": "edgelens_inference_ready 0.0", "gateway": "edgelens_triton_ready 0.0"}


class Witness:
    """One endpoint's readiness and metric, and when each first reported the fault."""

    def __init__(self, url: str, sign: str) -> None:
        self._url, self._sign = url, sign
        self._begin = time.monotonic()
        self.told: dict[str, float] = {}

    def knows(self) -> bool:
        """Ask; tell whether both have reported it by now."""
        if not is_ready(self._url):
            self._note("/readyz")
        if self._sign in requests.get(f"{self._url}/metrics", timeout=5).text:
            self._note("/metrics")
        return len(self.told) == 2

    def _note(self, path: str) -> None:
        self.told.setdefault(path, time.monotonic() - self._begin)


@contextmanager
def unattended(launcher: psutil.Process) -> Iterator[None]:
    """Keep the launcher from healing anything while the block runs."""
    launcher.suspend()
    try:
        yield
    finally:
        launcher.resume()


@pytest.mark.parametrize("who", ILL)
@pytest.mark.parametrize("name", ["kill-the-classifier", "freeze-all-stubs"])
def test_an_ill_model_is_reported_by_readiness_and_metrics(
    triton: Running, gateway: Gateway, name: str, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = {"launcher": f"http://{triton.host}:{triton.health_port}", "gateway": gateway.url}
    wait_until(lambda: all(map(is_ready, urls.values())), "all is well", PATIENCE)
    launcher = psutil.Process(triton.process.pid)
    # A dead model is often healed before a client, and so the gateway, notices anything.
    healer = unattended(launcher) if who == "gateway" else nullcontext()
    with steady_load(gateway.url, clients=2) as load, healer:
        wait_until(lambda: load.answered > 10, "the load is steady", PATIENCE)
        witness = Witness(urls[who], ILL[who])
        FAULTS[name](launcher)
        wait_until(witness.knows, f"the {who} tells of it", PATIENCE)
    with capsys.disabled():
        times = ", ".join(f"{path} {seconds:.1f} s" for path, seconds in witness.told.items())
        print(f"\n{name} was told by the {who} after: {times}")
    assert not IS_JUDGED or max(witness.told.values()) <= NOTICED_WITHIN
    wait_until(lambda: all(map(is_ready, urls.values())), "all is well again", PATIENCE)
