"""The API's OpenAPI description, fitted to one gateway's settings."""

import json
from pathlib import Path
from typing import Any

OPENAPI = Path(__file__).resolve().parent / "openapi.json"


def describe_api(needs_key: bool, max_pictures: int) -> bytes:
    """Return the OpenAPI document with this gateway's picture limit and, if required, API keys."""
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    schemas = document["components"]["schemas"]
    schemas["Files"]["maxItems"] = max_pictures
    schemas["SeveralPictures"]["properties"]["images"]["maxItems"] = max_pictures
    if not needs_key:
        del document["components"]["securitySchemes"]
        del document["paths"]["/v1/models"]["get"]["responses"]["503"]
        for path in document["paths"].values():
            for operation in path.values():
                operation.pop("security", None)
                operation["responses"].pop("401", None)
    return json.dumps(document, separators=(",", ":")).encode()
