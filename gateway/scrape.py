"""Which models Triton has loaded, read from its metrics: its repository index is closed to us."""

import http.client
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from gateway.ask import ask
from gateway.errors import MEGABYTE, TritonUnavailable

TRITONS = "nv_"  # how Triton's own metrics begin; it has some without any model
LOADED = "nv_inference_pending_request_count"
MODEL_INFO = "edgelens_model_info"
INFERRED = "nv_inference_count"
TIMEOUT = 2.0  # seconds
MOST_BYTES = 4 * MEGABYTE


@dataclass(frozen=True)
class Loaded:
    """The loaded (model, version) pairs, what the backend says of those it runs, and how many
    pictures each has inferred, without those that the cache answered."""

    versions: frozenset[tuple[str, str]]
    info: dict[tuple[str, str], dict[str, str]]
    inferred: dict[tuple[str, str], float] = field(default_factory=dict)


def scrape(url: str) -> Loaded:
    """Read Triton's metrics; raise TritonUnavailable if that fails."""
    try:
        with ask(url, TIMEOUT) as answer:
            text = answer.read(MOST_BYTES).decode("utf-8", "replace")
        if TRITONS not in text:
            raise ValueError("something else answers there")
        return parse_loaded(text)
    # A server that ends in the middle of its answer leaves half a line, or half an HTTP message.
    except (OSError, ValueError, LookupError, http.client.HTTPException) as exc:
        raise TritonUnavailable("Triton's metrics cannot be reached or read.") from exc


def parse_loaded(text: str) -> Loaded:
    """Read the metrics that matter from Prometheus text; the others are not even parsed."""
    wanted = [line for line in text.splitlines() if line.startswith((LOADED, MODEL_INFO, INFERRED))]
    versions: set[tuple[str, str]] = set()
    info: dict[tuple[str, str], dict[str, str]] = {}
    inferred: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families("\n".join(wanted) + "\n"):
        for sample in family.samples:
            key = (sample.labels.get("model", ""), sample.labels.get("version", ""))
            if sample.name == MODEL_INFO:
                info[key] = dict(sample.labels)
            elif sample.name.startswith(INFERRED):
                inferred[key] = sample.value
            else:
                versions.add(key)
    return Loaded(frozenset(versions), info, inferred)
