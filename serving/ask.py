"""Ask the parts about themselves, over HTTP on this machine."""

import http.client
import urllib.request


def ask(url: str, timeout: float) -> http.client.HTTPResponse:
    """Get a URL; raise OSError if there is no good answer.

    A proxy in the environment is for the internet, never for what runs beside us.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer: http.client.HTTPResponse = opener.open(url, timeout=timeout)
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(f"{url} does not answer") from error
    return answer
