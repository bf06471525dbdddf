"""gunicorn as https://gunicorn.org/design recommends for a model in memory: threads share it.

One worker, because a second would hold the weights twice and compete for the same cores. A thread
for each of the sixteen clients, so that none waits for its picture to be decoded.
"""

worker_class = "gthread"
workers = 1
threads = 16
loglevel = "warning"
