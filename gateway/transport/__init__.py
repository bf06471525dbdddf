"""Bytes in and out: waitress's connections, requests and threads, bounded for hostile clients."""
