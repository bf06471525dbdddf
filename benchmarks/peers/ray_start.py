"""Start Ray Serve with the classifier and stay until told to stop."""

import argparse
import signal

import ray
from ray import serve

from benchmarks.peers.ray_app import app

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    signal.signal(signal.SIGTERM, lambda *_: ray.shutdown() or exit(0))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": parser.parse_args().port})
    serve.run(app, route_prefix="/", blocking=True)
