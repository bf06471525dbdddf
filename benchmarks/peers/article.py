"""The article's app: Flask's own server, Keras's VGG16 in its process, one `predict` per request.

Flask's server runs a thread for each request, which is its default. Nothing is batched.
"""

import os

import numpy as np
from flask import Flask, jsonify, request
from keras.applications.vgg16 import preprocess_input

from benchmarks.peers.pictures import tensor, top5
from exporter.architectures import ARCHITECTURES
from exporter.random_weights import random_model

app = Flask(__name__)
model = random_model(ARCHITECTURES["vgg16"])


@app.get("/healthz")
def healthz():
    return "ok"


@app.post("/predict")
def predict():
    pictures = np.expand_dims(tensor(request.get_data()), 0).astype("float32")
    return jsonify(top5(model.predict(preprocess_input(pictures), verbose=0)[0]))


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
