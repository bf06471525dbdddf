"""Classify pictures through the gateway.

If the server asks for an API key, set it in API_KEY.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

# A server that is busy or restarting says in Retry-After when to ask again. By default no POST is
# retried; these may be, because they change nothing on the server. A server that does not answer at
# all is given up after a few seconds: it may not be running, or the address may be wrong.
AGAIN = Retry(
    total=8,
    connect=3,
    read=3,
    other=0,
    backoff_factor=0.5,
    status_forcelist=(429, 503),
    allowed_methods=None,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="default: %(default)s")
    parser.add_argument("--model", help="default: the server's")
    options = parser.parse_args()
    if "://" not in options.url:
        parser.error("--url must begin with http:// or https://")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a trace

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=AGAIN))
    for picture in options.pictures:
        answer = session.post(
            f"{options.url}/v1/classify",
            params={"model": options.model, "top_k": 1},
            data=picture.read_bytes(),
            headers={
                "Content-Type": "application/octet-stream",
                "X-API-Key": os.environ.get("API_KEY"),
            },
            timeout=30,
        )
        if not answer.ok:
            sys.exit(f"gateway_client.py: {picture}: {reason(answer)}")
        best = answer.json()["results"][0]["predictions"][0]
        label = f"{best['wnid'] or ''} {best['label']}".lstrip()  # own labels may have no wnid
        print(f"{picture}: {label} ({best['probability']:.1%})")


def reason(answer: requests.Response) -> str:
    """Return the gateway's error message, or the status if something else answers."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answers {answer.status_code} {answer.reason}"


try:
    main()
except (OSError, ValueError) as error:  # requests' own errors are OSErrors
    sys.exit(f"gateway_client.py: {error}")
