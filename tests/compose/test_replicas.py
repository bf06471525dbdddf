"""Every replica gets its share of the work, and a burst costs none its life."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import requests
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.compose.docker import docker, inspect
from tests.compose.stack import JPEG, Stack
from tests.lite import MODEL
from tests.photos import Photo
from tests.waiting import wait_until

REQUESTS = 300
FIRST_CALLS = 90
# Each holds 750 KB, and there are more of them than the balancer takes in at a time.
BURST, PICTURES, CHANNELS = 300, 5, 10


def test_every_replica_gets_its_share_of_the_gateways_requests(scaled: Stack, hammer: Photo):
    before = scaled.inferences()
    with ThreadPoolExecutor(8) as clients:
        codes = list(clients.map(lambda _: classify(scaled, hammer), range(REQUESTS)))
    assert codes == [200] * REQUESTS
    assert_even(before, scaled.inferences(), REQUESTS)


def test_every_replica_gets_its_share_of_one_grpc_channels_calls(scaled: Stack):
    before = scaled.inferences()
    with grpc.insecure_channel(scaled.grpc_address) as channel:
        infer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        for _ in range(REQUESTS):
            infer(request(), timeout=60)
    assert_even(before, scaled.inferences(), REQUESTS)


def test_every_replica_gets_its_share_of_the_first_calls(scaled: Stack):
    before = scaled.inferences()
    docker("restart", *scaled.containers("balancer"))
    with grpc.insecure_channel(scaled.grpc_address) as channel:
        infer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        wait_until(lambda: answers(infer), "the balancer has a replica", 60)
        for _ in range(FIRST_CALLS):
            infer(request(), timeout=60)
    assert_even(before, scaled.inferences(), FIRST_CALLS)


def test_a_burst_does_not_cost_the_balancer_its_life(scaled: Stack):
    (balancer,) = scaled.containers("balancer")
    before = inspect(balancer)["State"]["StartedAt"]
    alone = [("grpc.use_local_subchannel_pool", 1)]  # a connection for each channel
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(scaled.grpc_address, alone))
            for _ in range(CHANNELS)
        ]
        stubs = [service_pb2_grpc.GRPCInferenceServiceStub(channel) for channel in channels]
        calls = [
            stubs[number % CHANNELS].ModelInfer.future(request(PICTURES), timeout=120)
            for number in range(BURST)
        ]
        codes = Counter(call.code().name for call in calls)
        assert stubs[0].ModelInfer(request(), timeout=60).raw_output_contents
    print(codes)
    assert codes["OK"] >= BURST / 2
    assert set(codes) <= {"OK", "UNAVAILABLE", "CANCELLED"}
    assert inspect(balancer)["State"]["StartedAt"] == before


def classify(stack: Stack, photo: Photo) -> int:
    url = f"{stack.url}/v1/classify"
    return requests.post(url, photo.data, headers=JPEG, timeout=60).status_code


def answers(infer: Callable[..., object]) -> bool:
    try:
        infer(request(), timeout=60, wait_for_ready=True)
    except grpc.RpcError:  # a connection, but no replica yet
        return False
    return True


def request(pictures: int = 1) -> service_pb2.ModelInferRequest:
    """Return a whole call; with tritonclient, the clients would share one connection."""
    message = service_pb2.ModelInferRequest(model_name=MODEL)
    message.inputs.add(name="image", datatype="UINT8", shape=[pictures, 224, 224, 3])
    message.raw_input_contents.append(bytes(pictures * 224 * 224 * 3))
    return message


def assert_even(before: dict[str, float], after: dict[str, float], least: int) -> None:
    shares = {name: after[name] - before[name] for name in after}
    total = sum(shares.values())
    assert total >= least
    assert all(0.20 <= share / total <= 0.47 for share in shares.values()), shares
