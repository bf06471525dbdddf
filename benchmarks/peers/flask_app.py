"""Flask and the SavedModel in one process, behind gunicorn with threads; no batching."""

from flask import Flask, jsonify, request

from benchmarks.peers import engines
from benchmarks.peers.pictures import tensor, top5

app = Flask(__name__)
model = engines.load()


@app.get("/healthz")
def healthz():
    return "ok"


@app.post("/predict")
def predict():
    return jsonify(top5(model(tensor(request.get_data())[None])[0]))
