"""The endpoints, as a client sees them."""

import gzip
import io
import threading

import pytest

from gateway.classifier import Result
from gateway.errors import (
    DeadlineExceeded,
    EdgeLensError,
    InferenceFailed,
    Overloaded,
    TooLarge,
    TritonUnavailable,
)
from gateway.labels import Prediction
from gateway.routes import predict_entry
from gateway.triton import Answer
from tests.gateway.stub import Gateway, Start, StubTriton, as_base64, model_config, picture


def test_classify_answers_labels_best_first(gateway: Gateway) -> None:
    answer = gateway.classify(picture("green"))
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["model"], body["version"], body["weights"]) == ("colours", "1", "random")
    (result,) = body["results"]
    assert result["predictions"][0]["label"] == "green"
    scores = [p["probability"] for p in result["predictions"]]
    assert scores == sorted(scores, reverse=True)


def test_several_pictures_keep_order_and_names(gateway: Gateway) -> None:
    files = [(io.BytesIO(picture(c)), f"{c}.jpg") for c in ("blue", "red", "green")]
    results = gateway.client.post("/v1/classify", data={"images[]": files}).get_json()["results"]
    assert [r["filename"] for r in results] == ["blue.jpg", "red.jpg", "green.jpg"]
    assert [r["predictions"][0]["label"] for r in results] == ["blue", "red", "green"]


def test_one_bad_picture_fails_alone(gateway: Gateway) -> None:
    parts = [(io.BytesIO(picture()), "a.jpg"), (io.BytesIO(b"text"), "b.jpg")]
    answer = gateway.client.post("/v1/classify", data={"images[]": parts})
    good, bad = answer.get_json()["results"]
    assert answer.status_code == 200
    assert good["predictions"][0]["label"] == "red"
    assert bad["error"]["code"] == "not_a_picture"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (gzip.compress(picture()), "image/jpeg"),
        (gzip.compress(b'{"image": "QQ=="}'), "application/json"),
        (gzip.compress(b"image=QQ=="), "application/x-www-form-urlencoded"),
        (gzip.compress(b"--x--\r\n"), "multipart/form-data; boundary=x"),
    ],
    ids=["picture", "JSON", "form", "multipart"],
)
def test_a_compressed_body_is_refused(gateway: Gateway, data: bytes, kind: str) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = gateway.client.post("/v1/classify", data=data, content_type=kind, headers=headers)
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.get_json()["error"]["message"]


def test_a_form_within_a_form_is_no_picture(gateway: Gateway) -> None:
    body, kind = picture(), "image/jpeg"
    for level in range(50):
        part = 'Content-Disposition: form-data; name="a"; filename="a.jpg"\r\nContent-Type: '
        head = f"--level{level:02}\r\n{part}{kind}\r\n\r\n".encode()
        body = head + body + f"\r\n--level{level:02}--\r\n".encode()
        kind = f"multipart/form-data; boundary=level{level:02}"
    answer = gateway.client.post("/v1/classify", data=body, content_type=kind)
    assert answer.status_code == 415


def test_a_request_whose_only_picture_is_bad_has_its_status(gateway: Gateway) -> None:
    answer = gateway.classify(b"no picture")
    assert answer.status_code == 415
    assert answer.get_json()["error"]["code"] == "not_a_picture"


def test_a_picture_over_the_limit_is_told_the_limit_however_it_comes(start: Start) -> None:
    gateway = start(max_upload_bytes=1000)
    form = {"images[]": (io.BytesIO(b"x" * 5000), "a.jpg")}
    for answer in (gateway.classify(b"x" * 5000), gateway.client.post("/v1/classify", data=form)):
        assert answer.status_code == 413
        message = answer.get_json()["error"]["message"]
        assert message == "The picture exceeds the limit of 1000 bytes."
    assert TooLarge.over(20 << 20).message == "The picture exceeds the limit of 20 MB."


def test_a_picture_without_a_probability_fails_alone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer("1", [InferenceFailed("no probability"), [Prediction(None, "red", 0.9)]])
    monkeypatch.setattr(gateway.triton, "infer", lambda *_: answer)
    parts = [(io.BytesIO(picture()), name) for name in ("dark.jpg", "red.jpg")]
    response = gateway.client.post("/v1/classify", data={"images[]": parts})
    bad, good = response.get_json()["results"]
    assert response.status_code == 200
    assert bad["error"] == {"code": "inference_failed", "message": "no probability"}
    assert good["predictions"][0]["label"] == "red"


def test_several_bad_pictures_are_still_answered_one_by_one(gateway: Gateway) -> None:
    parts = [(io.BytesIO(b"text"), "a.jpg"), (io.BytesIO(b"more"), "b.jpg")]
    answer = gateway.client.post("/v1/classify", data={"images[]": parts})
    assert answer.status_code == 200
    assert [r["error"]["code"] for r in answer.get_json()["results"]] == ["not_a_picture"] * 2


def test_a_model_that_is_being_loaded_does_not_make_the_others_doubtful(
    start: Start, triton: StubTriton
) -> None:
    triton.configs["other", "1"] = model_config("other")
    gateway = start()
    del triton.configs["other", "1"]
    gateway.services.catalog.refresh()
    assert gateway.classify(query="?model=other").status_code == 503
    assert gateway.client.get("/readyz").status_code == 200


def test_a_failure_of_triton_takes_the_gateway_out_of_service(gateway: Gateway) -> None:
    assert gateway.client.get("/readyz").status_code == 200
    gateway.triton.failure = TritonUnavailable("away")
    gateway.classify()
    assert gateway.client.get("/readyz").status_code == 503


def test_a_gateway_whose_last_model_has_just_gone_says_so_in_the_usual_shape(
    start: Start, triton: StubTriton
) -> None:
    gateway = start(model="")
    triton.configs.clear()
    gateway.services.catalog.refresh()
    answer = gateway.client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "not_ready")
    assert gateway.client.get("/v1/models").get_json()["models"] == []


@pytest.mark.parametrize("failure", [TritonUnavailable("away"), DeadlineExceeded("late")], ids=str)
def test_nobody_waits_for_triton_while_probes_fail(
    gateway: Gateway, failure: EdgeLensError
) -> None:
    gateway.triton.failure = failure
    gateway.services.readiness.probe()
    gateway.triton.entered = threading.Semaphore(0)
    for answer in (gateway.classify(), gateway.client.post("/predict", data={"image": "x"})):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert answer.get_json()["error"]["code"] == "triton_unavailable"
    assert not gateway.triton.entered.acquire(blocking=False)
    gateway.triton.failure = None
    gateway.services.readiness.probe()
    assert gateway.classify().status_code == 200


def test_top_k_and_min_score_shorten_the_answer(gateway: Gateway) -> None:
    two = gateway.classify(query="?top_k=2").get_json()["results"][0]["predictions"]
    sure = gateway.classify(query="?min_score=0.5").get_json()["results"][0]["predictions"]
    assert (len(two), len(sure)) == (2, 1)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (TritonUnavailable("away"), 503),
        (Overloaded("full", 7.2), 503),
        (DeadlineExceeded("late"), 504),
        (InferenceFailed("refused"), 502),
    ],
    ids=["away", "full", "late", "refused"],
)
def test_triton_failures_keep_their_status(
    gateway: Gateway, failure: EdgeLensError, status: int
) -> None:
    gateway.triton.failure = failure
    answer = gateway.classify()
    assert answer.status_code == status
    assert answer.get_json() == {"error": {"code": failure.code, "message": failure.message}}
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_retry_after_is_rounded_up(gateway: Gateway) -> None:
    gateway.triton.failure = Overloaded("full", 7.2)
    assert gateway.classify().headers["Retry-After"] == "8"


def test_unknown_models_and_versions_are_not_found(gateway: Gateway) -> None:
    assert gateway.classify(query="?model=nothing").status_code == 404
    assert gateway.classify(query="?version=9").status_code == 404


def test_a_version_can_be_asked_for(start: Start, triton: StubTriton) -> None:
    triton.configs["colours", "2"] = model_config("colours", weights="imagenet")
    gateway = start()
    body = gateway.classify(query="?model=colours&version=1").get_json()
    assert (body["version"], body["weights"]) == ("1", "random")
    assert gateway.classify(query="?ab=2:1").get_json()["version"] == "2"
    assert gateway.classify(query="?ab=2:1&version=1").get_json()["version"] == "1"


def test_the_answer_names_the_weights_of_the_version_that_answered(
    start: Start, triton: StubTriton
) -> None:
    shared = {"weights": "imagenet", "weights_v1": "random", "weights_v2": "imagenet"}
    for version in ("1", "2"):
        triton.configs["colours", version] = model_config("colours", **shared)
    gateway = start()
    assert gateway.classify().get_json()["weights"] == "imagenet"
    assert gateway.classify(query="?version=1").get_json()["weights"] == "random"
    triton.versions = ["1"]  # Triton was just rolled back when it is asked for the newest
    body = gateway.classify().get_json()
    assert (body["version"], body["weights"]) == ("1", "random")


def test_models_lists_versions_and_the_default(start: Start, triton: StubTriton) -> None:
    triton.configs["colours", "9"] = model_config("colours")
    triton.configs["colours", "10"] = model_config("colours", precision="bf16")
    triton.configs["other", "1"] = model_config("other")
    triton.configs["colours_image", "1"] = model_config("colours_image")
    models = start().client.get("/v1/models").get_json()["models"]
    assert [(m["name"], m["default"]) for m in models] == [("colours", True), ("other", False)]
    assert models[0]["versions"] == ["1", "9", "10"]
    assert models[0]["precision"] == "bf16"
    assert models[0]["input"] == {"width": 224, "height": 224}


def test_models_states_the_limits_of_a_request(start: Start) -> None:
    limits = start(max_pictures=4, max_upload_bytes=1000).client.get("/v1/models").get_json()
    assert limits["limits"] == {
        "pictures": 4,
        "picture_bytes": 1000,
        "picture_pixels": 50_000_000,
        "request_bytes": 64 << 20,
    }


def test_only_an_automatic_default_says_that_it_stands_in(start: Start, triton: StubTriton) -> None:
    for name in ("efficientnet_lite0", "resnet50"):
        triton.configs[name, "1"] = model_config(name, weights="imagenet")

    def told(gateway: Gateway) -> list[str | None]:
        models = gateway.client.get("/v1/models").get_json()["models"]
        return [model.get("stands_in_for") for model in models]

    automatic = start(model="")
    assert told(automatic) == [None, "vgg16", None]
    ready = automatic.client.get("/readyz").get_json()
    assert ready == {"status": "ready", "model": "efficientnet_lite0", "stands_in_for": "vgg16"}
    assert told(start(model="efficientnet_lite0")) == [None] * 3


def test_predict_answers_the_short_form(gateway: Gateway) -> None:
    form = {"image": "data:image/jpeg;base64," + as_base64(picture("red"))}
    body = gateway.client.post("/predict", data=form).get_json()
    assert body["success"] is True
    (entry,) = body["result"]
    assert next(iter(entry)) == "class"  # which is not the first by name: that is blue
    assert entry["class"].startswith("red: ") and entry["class"].endswith("%")
    assert [value for key, value in entry.items() if key != "class"] == ["", ""]


def test_predict_succeeds_when_any_picture_did(gateway: Gateway) -> None:
    parts = [(io.BytesIO(b"text"), "a"), (io.BytesIO(picture()), "b")]
    body = gateway.client.post("/predict", data={"files[]": parts}).get_json()
    assert body["success"] is True
    assert body["result"][0]["error"]["code"] == "not_a_picture"
    assert body["result"][1]["class"].startswith("red")


def test_predict_fails_when_all_pictures_did(gateway: Gateway) -> None:
    parts = [(io.BytesIO(b"text"), "a"), (io.BytesIO(b"more"), "b")]
    answer = gateway.client.post("/predict", data={"image": parts})
    assert answer.status_code == 415
    assert answer.get_json()["success"] is False
    assert answer.get_json()["error"]["code"] == "not_a_picture"


def test_labels_of_the_same_name_keep_their_own_entries() -> None:
    cranes = [Prediction(f"n{i}", "crane", 0.25) for i in range(3)]
    entry = predict_entry(Result(None, cranes))
    assert entry == {"class": "crane: 25.00%", "crane (n1): 25.00%": "", "crane (n2): 25.00%": ""}
    entry = predict_entry(Result(None, [Prediction("n3", "koala", 0.5), *cranes[:2]]))
    assert entry == {"class": "koala: 50.00%", "crane: 25.00%": "", "crane (n1): 25.00%": ""}


def test_labels_that_only_their_names_tell_apart_are_shown_as_they_are() -> None:
    entry = predict_entry(Result(None, [Prediction(None, "crane", 0.25)] * 3))
    assert entry == {"class": "crane: 25.00%", "crane: 25.00%": ""}


def test_predict_refuses_parameters_that_it_would_ignore(gateway: Gateway) -> None:
    answer = gateway.client.post("/predict?top_k=2", data=picture(), content_type="image/jpeg")
    assert answer.status_code == 400
    assert "takes no parameters" in answer.get_json()["error"]["message"]


def test_the_process_is_healthy_whatever_triton_does(gateway: Gateway) -> None:
    gateway.triton.failure = TritonUnavailable("away")
    gateway.services.readiness.probe()
    assert gateway.client.get("/healthz").get_json() == {"status": "ok"}
    answer = gateway.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.get_json() == {"status": "not_ready", "reason": "away"}


def test_metrics_count_answers_and_pictures(gateway: Gateway) -> None:
    gateway.classify()
    gateway.classify(b"no picture")
    answer = gateway.client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")  # else Prometheus refuses it
    text = answer.get_data(as_text=True)
    assert 'edgelens_http_requests_total{route="/v1/classify",status="200"} 1.0' in text
    assert 'edgelens_http_requests_total{route="/v1/classify",status="415"} 1.0' in text
    assert 'edgelens_pictures_total{model="colours",outcome="not_a_picture"} 1.0' in text
    assert "edgelens_triton_ready 1.0" in text
    assert 'edgelens_in_flight{model="colours"} 0.0' in text
    assert 'edgelens_gateway_model_info{engine="unknown",model="colours"' in text


def test_refused_pictures_teach_nothing_about_the_model(gateway: Gateway) -> None:
    admission = gateway.admission
    assert admission.seconds_per_picture > 0  # of the fixture's probe
    gateway.classify()
    measured = admission.seconds_per_picture
    assert gateway.classify(b"no picture").status_code == 415
    assert admission.seconds_per_picture == measured
    parts = [(io.BytesIO(b"no picture"), "a.jpg"), (io.BytesIO(picture()), "b.jpg")]
    gateway.client.post("/v1/classify", data={"images[]": parts})
    assert admission.seconds_per_picture != measured


def test_a_late_answer_lowers_the_limit(gateway: Gateway) -> None:
    before = gateway.admission.limit
    gateway.triton.failure = DeadlineExceeded("late")
    assert gateway.classify().status_code == 504
    assert gateway.admission.limit < before


@pytest.mark.parametrize(
    ("data", "probes"), [(picture(), 0), (b"no picture", 1)], ids=["answered", "refused"]
)
def test_only_an_answered_client_spares_the_model_a_probe(
    gateway: Gateway, data: bytes, probes: int
) -> None:
    gateway.classify(data)
    gateway.triton.inferred = {("colours", "1"): 2}  # the fixture's probe and this picture
    gateway.services.catalog.refresh()
    gateway.triton.batches.clear()
    gateway.services.readiness.check()
    assert len(gateway.triton.batches) == probes


def test_every_picture_of_a_request_takes_a_place(gateway: Gateway) -> None:
    admission = gateway.admission
    admission.limit = 2
    admission.enter("another client")
    parts = [(io.BytesIO(picture()), f"{name}.jpg") for name in "ab"]
    answer = gateway.client.post("/v1/classify", data={"images[]": parts})
    assert answer.status_code in (429, 503)
    assert gateway.classify().status_code == 200


def test_every_place_is_free_after_the_answer(gateway: Gateway) -> None:
    gateway.classify()
    gateway.triton.failure = TritonUnavailable("away")
    gateway.classify()
    assert gateway.admission.in_flight == 0
