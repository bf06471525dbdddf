"""Ask other parts of the system over HTTP."""

import http.client
import urllib.request


def ask(url: str | urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    """Send a request, or get a URL; raise OSError if there is no good answer.

    A proxy in the environment is for the internet, never for what runs beside us.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer: http.client.HTTPResponse = opener.open(url, timeout=timeout)
    except (ValueError, http.client.HTTPException) as error:
        raise OSError("there is no valid answer") from error
    return answer


def answers(url: str, timeout: float) -> bool:
    """Tell whether a URL has a good answer."""
    try:
        with ask(url, timeout):
            return True
    except OSError:
        return False
