"""Programs that talk to Triton themselves get what the gateway's clients get."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc
import tritonclient.http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from gateway.image import to_tensor
from inference.admin_client import AdminClient
from tests.e2e.test_stack import contract_of
from tests.lite import MODEL
from tests.photos import DATA, odd_images, photos
from tests.pictures import encode, scene
from tests.servers import Running
from tests.waiting import wait_until

PHOTOS = photos()
TOLERANCE = 1e-4  # of a probability, at f32
MODULES = {"HTTP": tritonclient.http, "gRPC": tritonclient.grpc}
BROKEN = [p for p, expected in odd_images() if expected in ("reject", "reject before decoding")]
Answers = list[tuple[str, float]]

each_protocol = pytest.mark.parametrize("protocol", MODULES)


def port_of(triton: Running, module: ModuleType) -> int:
    return triton.http_port if module is tritonclient.http else triton.grpc_port


def ask(triton: Running, protocol: str, model: str, batch: np.ndarray) -> Answers:
    """Return the WordNet id and the probability of each row's best class."""
    module = MODULES[protocol]
    kind = "BYTES" if batch.dtype == np.object_ else "UINT8"
    image = module.InferInput("image", list(batch.shape), kind)
    image.set_data_from_numpy(batch)
    best = module.InferRequestedOutput("probabilities", class_count=1)
    with module.InferenceServerClient(f"127.0.0.1:{port_of(triton, module)}") as client:
        rows = client.infer(model, [image], outputs=[best]).as_numpy("probabilities")
    texts = [row[0].decode().split(":", 2) for row in rows]
    return [(label.split(" ")[0], float(score)) for score, _, label in texts]


def encoded(*pictures: bytes) -> np.ndarray:
    return np.array([[picture] for picture in pictures], dtype=np.object_)


def gateway_error(gateway_url: str, picture: bytes) -> str:
    answer = requests.post(
        f"{gateway_url}/v1/classify",
        data=picture or b"",
        headers={"Content-Type": "image/jpeg"},
        timeout=30,
    )
    return answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def from_gateway(gateway_url: str) -> Answers:
    files = [("images[]", (photo.path.name, photo.data)) for photo in PHOTOS]
    answer = requests.post(f"{gateway_url}/v1/classify?top_k=1", files=files, timeout=60).json()
    best = [result["predictions"][0] for result in answer["results"]]
    return [(entry["wnid"], entry["probability"]) for entry in best]


def assert_same(found: Answers, expected: Answers) -> None:
    assert [wnid for wnid, _ in found] == [wnid for wnid, _ in expected]
    differences = [abs(a - b) for (_, a), (_, b) in zip(found, expected, strict=True)]
    assert max(differences) < TOLERANCE


@each_protocol
def test_encoded_pictures_get_the_gateways_answers(
    triton: Running, from_gateway: Answers, protocol: str
) -> None:
    found = ask(triton, protocol, f"{MODEL}_image", encoded(*(photo.data for photo in PHOTOS)))
    assert_same(found, from_gateway)


@each_protocol
def test_one_encoded_picture_a_request_gets_the_gateways_answers(
    triton: Running, from_gateway: Answers, protocol: str
) -> None:
    found = [ask(triton, protocol, f"{MODEL}_image", encoded(p.data))[0] for p in PHOTOS]
    assert_same(found, from_gateway)


@each_protocol
def test_raw_tensors_get_the_gateways_answers_alone_and_in_a_batch(
    triton: Running, from_gateway: Answers, protocol: str
) -> None:
    contract = contract_of(triton)
    batch = np.stack([to_tensor(photo.data, contract) for photo in PHOTOS])
    assert_same(ask(triton, protocol, MODEL, batch), from_gateway)
    alone = [ask(triton, protocol, MODEL, tensor[np.newaxis])[0] for tensor in batch]
    assert_same(alone, from_gateway)


@each_protocol
@pytest.mark.parametrize("name", ["text.jpg", "zero_bytes.jpg", "bomb_20000x20000_1bit.png"])
def test_a_broken_picture_gets_the_gateways_message(
    triton: Running, gateway_url: str, protocol: str, name: str
) -> None:
    picture = (DATA / "odd_images" / name).read_bytes()
    with pytest.raises(InferenceServerException) as caught:
        ask(triton, protocol, f"{MODEL}_image", encoded(picture))
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    if picture:  # an empty body is no upload to the gateway
        assert caught.value.message().endswith(gateway_error(gateway_url, picture))


def test_a_request_of_several_says_which_picture_is_broken(triton: Running) -> None:
    batch = encoded(PHOTOS[0].data, b"not a picture", PHOTOS[1].data)
    with pytest.raises(InferenceServerException, match="Picture 2 of 3: This is not a picture"):
        ask(triton, "gRPC", f"{MODEL}_image", batch)


def test_the_pictures_of_one_request_are_decoded_as_a_batch(triton: Running) -> None:
    before = decoded_at_once(triton)
    found = ask(triton, "gRPC", f"{MODEL}_image", encoded(*(photo.data for photo in PHOTOS)))
    assert [wnid for wnid, _ in found] == [photo.wnid for photo in PHOTOS]
    wait_until(lambda: decoded_at_once(triton) > before, "it was counted as one run", 10)


def decoded_at_once(triton: Running) -> int:
    """Count the decoder's runs with as many pictures as there are photographs."""
    client = AdminClient("127.0.0.1", triton.http_port, triton.admin_key)
    (statistics,) = client.statistics(f"{MODEL}_decode", "", 10)
    runs = {int(one["batch_size"]): one["compute_infer"] for one in statistics["batch_stats"]}
    return int(runs[len(PHOTOS)]["count"]) if len(PHOTOS) in runs else 0


def test_a_broken_picture_among_requests_at_the_same_time_fails_alone(triton: Running) -> None:
    """The decoder takes them one by one, and the model batches the good ones that wait."""
    good = [photo.data for photo in PHOTOS] * 2
    bad = [BROKEN[i % len(BROKEN)].read_bytes() for i in range(len(good))]
    pictures = [picture for pair in zip(bad, good, strict=True) for picture in pair]
    together = threading.Barrier(len(pictures))

    def send(picture: bytes) -> str:
        together.wait(30)
        try:
            return ask(triton, "gRPC", f"{MODEL}_image", encoded(picture))[0][0]
        except InferenceServerException as error:
            return str(error.status())

    with ThreadPoolExecutor(len(pictures)) as pool:
        found = list(pool.map(send, pictures))
    assert found[1::2] == [photo.wnid for photo in PHOTOS] * 2
    assert set(found[::2]) == {"StatusCode.INVALID_ARGUMENT"}


def streamed(triton: Running, model: str, batches: list[np.ndarray]) -> Counter[str]:
    """Send them on one stream; count the answers without an error, and the errors."""
    requests = [service_pb2.ModelInferRequest(model_name=model) for _ in batches]
    for request, batch in zip(requests, batches, strict=True):
        kind = "BYTES" if batch.dtype == np.object_ else "UINT8"
        image = tritonclient.grpc.InferInput("image", list(batch.shape), kind)
        image.set_data_from_numpy(batch)
        request.inputs.append(image._get_tensor())
        request.raw_input_contents.append(image._get_content())
    with grpc.insecure_channel(f"127.0.0.1:{triton.grpc_port}") as channel:
        answers = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
            iter(requests), timeout=30
        )
        return Counter(answer.error_message for answer in answers)


def test_a_stream_answers_new_pictures_but_tensors_only_from_the_cache(triton: Running) -> None:
    """Triton 24.10 confuses a streamed answer with that from its cache: see SECURITY.md."""
    pictures = [encode(scene(320, 240).rotate(angle), "PNG") for angle in (10, 20, 30)]
    assert streamed(triton, f"{MODEL}_image", [encoded(p) for p in pictures]) == {"": 3}
    tensor = to_tensor(encode(scene(320, 240).rotate(40), "PNG"), contract_of(triton))[np.newaxis]
    assert streamed(triton, MODEL, [tensor]) == {"response output count mismatch": 1}
    assert streamed(triton, MODEL, [tensor]) == {"": 1}


@each_protocol
def test_the_version_that_answered_stands_in_the_response(triton: Running, protocol: str) -> None:
    module = MODULES[protocol]
    image = module.InferInput("image", [1, 224, 224, 3], "UINT8")
    image.set_data_from_numpy(np.zeros([1, 224, 224, 3], np.uint8))
    with module.InferenceServerClient(f"127.0.0.1:{port_of(triton, module)}") as client:
        response = client.infer(MODEL, [image], model_version="1").get_response()
    version = response["model_version"] if protocol == "HTTP" else response.model_version
    assert version == "1"


def test_an_empty_batch_of_another_program_costs_no_picture_its_answer(
    triton: Running, gateway_url: str
) -> None:
    """Triton 24.10 fails what is batched with it, and caches that: see SECURITY.md."""
    picture = encode(scene(640, 480).rotate(90), "PNG")
    tensor = to_tensor(picture, contract_of(triton))
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="image", datatype="UINT8", shape=[0, *tensor.shape])
    request.raw_input_contents.append(tensor.tobytes())
    with grpc.insecure_channel(f"127.0.0.1:{triton.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="max allowed is 16"):
            stub.ModelInfer(request)
    answer = requests.post(f"{gateway_url}/v1/classify", data=picture, timeout=30)
    assert answer.status_code == 200, answer.text
