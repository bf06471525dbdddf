"""What the tests ask Triton."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import tritonclient.grpc as grpcclient
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype

from tests.inference.calls import admin, call


class Client:
    def __init__(self, connection, server):
        self.connection, self.server = connection, server

    def infer(self, model, version="", outputs=None, sequence=None, **inputs):
        """Run one inference; arrays in by name, arrays out by name."""
        tensors = []
        for name, array in inputs.items():
            kind = np_to_triton_dtype(array.dtype)
            tensors.append(grpcclient.InferInput(name, list(array.shape), kind))
            tensors[-1].set_data_from_numpy(array)
        wanted = outputs and [grpcclient.InferRequestedOutput(name) for name in outputs]
        result = self.connection.infer(
            model, tensors, model_version=version, outputs=wanted, client_timeout=60,
            **(sequence or {}),
        )  # fmt: skip
        return {
            output.name: result.as_numpy(output.name) for output in result.get_response().outputs
        }

    def send(self, model, name, datatype, shape, content):
        """Send one tensor as it is, without the checks of Triton's own client."""
        request = service_pb2.ModelInferRequest(model_name=model)
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(content)
        with grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            return stub.ModelInfer(request, timeout=60)

    def infer_at_once(self, model, requests):
        """Send several requests at the same time; return answers or exceptions, in order."""
        with ThreadPoolExecutor(len(requests)) as pool:
            futures = [pool.submit(self.infer, model, **request) for request in requests]
            return [future.exception() or future.result() for future in futures]

    def config(self, model):
        return self.connection.get_model_config(model, as_json=True)["config"]

    def batches(self, model):
        """Count the requests' rows and the inferences that answered them, from the metrics."""
        return [
            sum(self.metric(f"{name}{{", f'model="{model}"'))
            for name in ("nv_inference_count", "nv_inference_exec_count")
        ]

    def metric(self, *parts):
        """Return the values of the metrics whose line contains all parts."""
        lines = call(self.server.metrics_port, "/metrics").body.decode().splitlines()
        return [float(line.split()[-1]) for line in lines if all(part in line for part in parts)]

    def load(self, model):
        """Load a model; returns Triton's reason if it refuses."""
        answer = admin(self.server, f"/v2/repository/models/{model}/load")
        return None if answer.status == 200 else json.loads(answer.body)["error"]
