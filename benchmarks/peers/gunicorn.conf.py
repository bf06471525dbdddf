"""gunicorn as https://gunicorn.org/design recommends for a model in memory: threads share it.

One worker, for a second one would hold the weights a second time and compete for the same cores;
a thread for each of the sixteen clients, so that none waits for its picture to be decoded.
"""

worker_class = "gthread"
workers = 1
threads = 16
loglevel = "warning"
