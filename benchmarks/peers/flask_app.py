"""Flask and the SavedModel in one process, behind gunicorn with threads; no batching.

Follows https://flask.palletsprojects.com/en/stable/deploying/gunicorn/; gunicorn.conf.py beside
this file has the numbers.
"""

from flask import Flask, jsonify, request

from benchmarks.peers import engines
from benchmarks.peers.pictures import tensor, top5

app = Flask(__name__)
model = engines.load(batched=False)


@app.get("/healthz")
def healthz():
    return "ok"


@app.post("/predict")
def predict():
    return jsonify(top5(model(tensor(request.get_data())[None])[0]))
