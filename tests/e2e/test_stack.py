"""What people and programs rely on, asked of the real stack with real photographs."""

import base64
import queue
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import requests
import tritonclient.grpc
import tritonclient.utils

from gateway.contract import Contract
from gateway.image import to_tensor
from tests.e2e.conftest import Gateway
from tests.lite import MODEL
from tests.memory import MEGABYTE, forget_peak, peak
from tests.photos import Photo, odd_images, photos
from tests.places import HOME, INFERENCE_PYTHON
from tests.servers import Running
from tests.waiting import wait_until

PHOTOS = photos()
ODD_IMAGES = odd_images()
CLIENTS = 16
COUNTERS = ("nv_inference_count", "nv_inference_exec_count")
HITS = "nv_cache_num_hits_per_model"
REPETITIONS = 100
BATCHES = 5  # Triton may take two of them out of its queue ahead of time

each_photo = pytest.mark.parametrize("photo", PHOTOS, ids=[p.path.stem for p in PHOTOS])


def contract_of(triton: Running, model: str = MODEL) -> Contract:
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc_port}") as client:
        parameters = client.get_model_config(model).config.parameters
    return Contract.from_parameters({key: value.string_value for key, value in parameters.items()})


@each_photo
def test_classify_names_each_photo(gateway_url: str, photo: Photo) -> None:
    answer = requests.post(
        f"{gateway_url}/v1/classify",
        data=photo.data,
        headers={"Content-Type": "image/jpeg"},
        timeout=30,
    )
    assert answer.status_code == 200
    assert answer.json()["results"][0]["predictions"][0]["wnid"] == photo.wnid


@each_photo
def test_predict_keeps_the_articles_contract(gateway_url: str, photo: Photo) -> None:
    form = {"image": base64.b64encode(photo.data).decode()}
    answer = requests.post(f"{gateway_url}/predict", data=form, timeout=30).json()
    assert answer["success"] is True
    (entry,) = answer["result"]
    label, probability = entry["class"].rsplit(": ", 1)
    assert label == photo.label
    assert 0 < float(probability.removesuffix("%")) <= 100
    others = [key for key in entry if key != "class"]
    assert len(others) == 4
    assert all(entry[key] == "" and key.endswith("%") for key in others)


def test_a_batch_keeps_order_and_names(gateway_url: str) -> None:
    files = [("images[]", (p.path.name, p.data, "image/jpeg")) for p in PHOTOS]
    results = requests.post(f"{gateway_url}/v1/classify", files=files, timeout=60).json()["results"]
    assert [r["filename"] for r in results] == [p.path.name for p in PHOTOS]
    assert [r["predictions"][0]["wnid"] for r in results] == [p.wnid for p in PHOTOS]


def test_predict_answers_a_batch_in_order(gateway_url: str) -> None:
    files = [("images[]", (p.path.name, p.data, "image/jpeg")) for p in PHOTOS]
    answer = requests.post(f"{gateway_url}/predict", files=files, timeout=60).json()
    assert answer["success"] is True
    assert [entry["class"].rsplit(": ", 1)[0] for entry in answer["result"]] == [
        photo.label for photo in PHOTOS
    ]


def test_one_bad_picture_leaves_its_neighbours_alone(gateway_url: str) -> None:
    files = [
        ("images[]", ("good.jpg", PHOTOS[0].data)),
        ("images[]", ("bad.jpg", b"not a picture")),
        ("images[]", ("fine.jpg", PHOTOS[1].data)),
    ]
    answer = requests.post(f"{gateway_url}/v1/classify", files=files, timeout=30)
    first, bad, last = answer.json()["results"]
    assert answer.status_code == 200
    assert bad["error"]["code"] == "not_a_picture"
    assert first["predictions"][0]["wnid"] == PHOTOS[0].wnid
    assert last["predictions"][0]["wnid"] == PHOTOS[1].wnid


def test_vgg16_equals_keras(triton: Running, repository: Path, tmp_path: Path) -> None:
    """Random weights are scaled so that a swapped channel order would differ by over 1e-2."""
    contract = contract_of(triton, "vgg16")
    tensors = np.stack([to_tensor(photo.data, contract) for photo in PHOTOS[:2]])
    np.save(tmp_path / "tensors.npy", tensors)
    reference = [INFERENCE_PYTHON, "-m", "tests.e2e.keras_reference", tmp_path]
    subprocess.run(reference, check=True, cwd=HOME)
    expected = np.load(tmp_path / "probabilities.npy")
    swapped = np.load(tmp_path / "swapped.npy")

    tensor = tritonclient.grpc.InferInput("image", list(tensors.shape), "UINT8")
    tensor.set_data_from_numpy(tensors)
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc_port}") as client:
        served = client.infer("vgg16", [tensor]).as_numpy("probabilities")
    assert np.abs(served - expected).max() < 1e-4
    assert np.abs(swapped - expected).max() > 1e-2


def test_a_request_past_its_deadline_is_dropped_before_it_is_inferred(triton: Running) -> None:
    """VGG16 is busy with some batches when one comes whose client waits only briefly."""
    errors: queue.Queue[Exception | None] = queue.Queue()
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc_port}") as client:
        # Any queue policy would make some requests wait half a second for Triton's batcher.
        batching = client.get_model_config("vgg16").config.dynamic_batching
        assert not batching.default_queue_policy.max_queue_size
        before = metric(triton, "nv_inference_count", "vgg16")
        tensor = random_batch()
        for _ in range(BATCHES):
            client.async_infer("vgg16", [tensor], lambda result, error: errors.put(error))
        pending = "nv_inference_pending_request_count"
        wait_until(lambda: metric(triton, pending, "vgg16") >= 1, "a batch waits", 60)
        with pytest.raises(tritonclient.utils.InferenceServerException, match="Deadline"):
            client.infer("vgg16", [random_batch()], client_timeout=0.1)
        client.infer("vgg16", [random_batch()])  # the late one would come before it
        assert [errors.get(timeout=60) for _ in range(BATCHES)] == [None] * BATCHES

    def inferred() -> float:
        return metric(triton, "nv_inference_count", "vgg16") - before

    # Triton answers before it counts.
    wait_until(lambda: inferred() >= 16 * (BATCHES + 1), "all are counted", 60)
    # The late batch would be 16 more; the watchdog's probes are a few pictures, one at a time.
    assert inferred() < 16 * (BATCHES + 2)


def random_batch() -> tritonclient.grpc.InferInput:
    """Return pictures unlike any before: the response cache would answer repeated ones at once."""
    tensor = tritonclient.grpc.InferInput("image", [16, 224, 224, 3], "UINT8")
    tensor.set_data_from_numpy(np.random.default_rng().integers(0, 256, tensor.shape(), np.uint8))
    return tensor


def metric(triton: Running, name: str, model: str = MODEL) -> float:
    """Return one of Triton's metrics of a model, summed over its versions."""
    text = requests.get(f"http://127.0.0.1:{triton.metrics_port}/metrics", timeout=10).text
    wanted = [line for line in text.splitlines() if line.startswith(name + "{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted if f'model="{model}"' in line)


def test_concurrent_single_pictures_are_batched(gateway_url: str, triton: Running) -> None:
    """Each client sends pictures that nobody sent before, so that no cache can answer."""
    ready = threading.Barrier(CLIENTS)
    photo = next(p for p in PHOTOS if p.label == "hammer")

    def send(client: int) -> list[int]:
        pictures = [distinct(photo.data, client * 1000 + number) for number in range(20)]
        with requests.Session() as session:
            ready.wait()
            return [
                session.post(
                    f"{gateway_url}/v1/classify",
                    data=picture,
                    headers={"Content-Type": "image/jpeg"},
                    timeout=60,
                ).status_code
                for picture in pictures
            ]

    before = [metric(triton, name) for name in COUNTERS]
    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = [status for found in pool.map(send, range(CLIENTS)) for status in found]
    after = [metric(triton, name) for name in COUNTERS]
    assert set(statuses) == {200}
    pictures, executions = after[0] - before[0], after[1] - before[1]
    assert pictures / executions > 3


def test_a_repeated_picture_is_answered_without_an_inference(
    gateway_url: str, triton: Running
) -> None:
    """Probes are the only inferences meanwhile, and no two of them are alike."""
    picture = distinct(PHOTOS[0].data, 0xCACE)

    def send() -> str:
        answer = requests.post(
            f"{gateway_url}/v1/classify",
            data=picture,
            headers={"Content-Type": "image/jpeg"},
            timeout=30,
        )
        return str(answer.json()["results"])

    first = send()
    before = [metric(triton, name) for name in (HITS, *COUNTERS)]
    assert {send() for _ in range(REPETITIONS)} == {first}
    hits, *inferences = (
        metric(triton, name) - earlier
        for name, earlier in zip((HITS, *COUNTERS), before, strict=True)
    )
    assert hits >= REPETITIONS
    assert max(inferences) < REPETITIONS


def distinct(jpeg: bytes, number: int) -> bytes:
    """Return a picture whose pixels differ a little from the original's, by its number."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    for bit in range(16):
        left = width // 2 - 64 + 8 * bit
        pixels[height // 2 : height // 2 + 8, left : left + 8] = 255 * (number >> bit & 1)
    return bytes(cv2.imencode(".jpg", pixels)[1])


@pytest.mark.parametrize(
    ("path", "expected"), ODD_IMAGES, ids=[path.name for path, _ in ODD_IMAGES]
)
def test_odd_files_get_a_label_or_a_4xx(
    gateway: Gateway, resting: int, path: Path, expected: str
) -> None:
    forget_peak(gateway.process.pid)
    answer = requests.post(
        f"{gateway.url}/v1/classify",
        files={"image": (path.name, path.read_bytes())},
        timeout=30,
    )
    if answer.status_code == 200:
        best = answer.json()["results"][0]["predictions"][0]
        wanted = expected.removeprefix("reject or ")
        assert wanted != "reject"
        assert wanted in ("any", "first frame", "first page") or index_of(best) == int(wanted)
    else:
        assert 400 <= answer.status_code < 500
        assert "reject" in expected
        assert answer.json()["error"]["message"]
    assert peak(gateway.process.pid) < resting + 200 * MEGABYTE


@pytest.fixture(scope="module")
def resting(gateway: Gateway) -> int:
    """The gateway's resident size in bytes once it has served."""
    for photo in PHOTOS:
        requests.post(f"{gateway.url}/v1/classify", files={"image": photo.data}, timeout=30)
    return int(psutil.Process(gateway.process.pid).memory_info().rss)


def index_of(prediction: dict[str, str]) -> int:
    classes = (HOME / "exporter/imagenet_classes.csv").read_text().splitlines()[1:]
    return next(int(c.split(",")[0]) for c in classes if c.split(",")[1] == prediction["wnid"])
