"""The rounds: each starts every contender in turn, checks an answer, and loads it."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request

from benchmarks.bodies import photos, tensors
from benchmarks.contenders import ARTICLE, AS_DOCUMENTED, GATEWAY_FLOAT, TRITON_FLOAT
from benchmarks.exports import LITE0, VGG16
from benchmarks.load import Plan, Target, press
from benchmarks.servers import Contender, Server, running
from gateway.ask import ask

WNID = re.compile(rb"n\d{8}")
WARM_ANSWERS = 16  # one for each client
# BentoML's dispatcher uses its first batches, about 25 pictures, to learn how long they take.
LEARNT_ANSWERS = 48
WARM_SECONDS = {VGG16: 2.0, LITE0: 1.5}
SLOW = (*AS_DOCUMENTED, ARTICLE)  # float32: few answers a second, so they are measured for longer


class WrongAnswer(Exception):
    """A contender's label is none of the model's five best."""


@dataclass(frozen=True)
class Rounds:
    """How contenders are measured: `seconds` and the first body's `best` labels, by model."""

    scratch: Path
    seconds: dict[str, float]
    best: dict[str, list[str]]

    def measure(self, contender: Contender, model: str) -> dict[str, dict[str, Any]]:
        """Start a contender and load it; EdgeLens's Triton is also loaded directly."""
        with running(contender) as server:
            loads = {contender.name: self._pressed(server, photos(server), model)}
            if contender.name == GATEWAY_FLOAT:
                triton = self._pressed(server, tensors(server, model, self.scratch), model)
                loads[TRITON_FLOAT] = triton | {"memory": server.memory(without="gateway")}
        return loads

    def _pressed(self, server: Server, target: Target, model: str) -> dict[str, Any]:
        same = self._check(target, model)
        load = press(target, self._plan(server.contender.name, model))
        measured = {"memory": server.memory(), "start_seconds": server.start_seconds}
        return asdict(load) | measured | {"same_label": same}

    def _plan(self, name: str, model: str) -> Plan:
        return Plan(
            warm_seconds=WARM_SECONDS[model],
            warm_answers=LEARNT_ANSWERS if name.startswith("BentoML") else WARM_ANSWERS,
            seconds=self.seconds[model] * (1.5 if name in SLOW else 1),
        )

    def _check(self, target: Target, model: str) -> bool:
        """Ask once; tell whether the best label is the model's own at float32.

        Any of the five best passes: VGG16's weights are random, so its classes lie close together
        and a lower precision may swap two.
        """
        data = target.bodies[0].read_bytes()
        with ask(Request(target.url, data, target.headers), timeout=60) as answer:
            found = WNID.search(answer.read())
        label = found[0].decode() if found else "nothing"
        if label not in self.best[model]:
            raise WrongAnswer(f"sees {label}, not one of {', '.join(self.best[model])}")
        return label == self.best[model][0]
