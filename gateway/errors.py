"""Every failure a client can meet, with its HTTP status and a code that programs can match."""

from typing import Any, ClassVar

MEGABYTE = 1024 * 1024


class EdgeLensError(Exception):
    """Carry one clear sentence to the client; subclasses fix the status and the code."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    default_retry_after: ClassVar[float | None] = None

    def __init__(self, message: str, retry_after: float | None = None, said: str = "") -> None:
        super().__init__(message)
        self.message, self._said = message, said
        self.retry_after = self.default_retry_after if retry_after is None else retry_after

    def for_log(self) -> str:
        """Return the sentence, and what Triton said, which may name paths and differ each time."""
        return f"{self.message} {self._said}" if self._said else self.message

    def as_json(self) -> dict[str, Any]:
        """Return the body of the error: `{"code", "message"}`."""
        return {"code": self.code, "message": self.message}


class BadRequest(EdgeLensError):
    """The request is malformed: a parameter, the form, the JSON or the base64."""

    status = 400
    code = "bad_request"


class Unauthorized(EdgeLensError):
    """The API key is missing, unknown or revoked."""

    status = 401
    code = "unauthorized"


class UnknownModel(EdgeLensError):
    """No such model, or no such version of it, is served."""

    status = 404
    code = "unknown_model"


class TooLarge(EdgeLensError):
    """The picture or the request has too many bytes, pixels or parts."""

    status = 413
    code = "too_large"

    @classmethod
    def over(cls, most: int, what: str = "picture") -> "TooLarge":
        """Return the error for more than `most` bytes; how many more is not counted."""
        text = f"{most} bytes" if most % MEGABYTE else f"{most // MEGABYTE} MB"
        return cls(f"The {what} exceeds the limit of {text}.")


class UnsupportedMediaType(EdgeLensError):
    """The whole request has a Content-Type or a Content-Encoding that is not accepted."""

    status = 415
    code = "unsupported_media_type"


class NotAPicture(EdgeLensError):
    """The bytes are not in an accepted picture format."""

    status = 415
    code = "not_a_picture"


class UndecodablePicture(EdgeLensError):
    """The bytes begin like a picture but cannot be decoded."""

    status = 422
    code = "undecodable_picture"


class TooManyRequests(EdgeLensError):
    """One client asks for more than its share."""

    status = 429
    code = "too_many_requests"
    default_retry_after = 1.0


class InferenceFailed(EdgeLensError):
    """Triton refused or failed this inference, and trying again will not help."""

    status = 502
    code = "inference_failed"


class Overloaded(EdgeLensError):
    """More work is waiting than can be answered within its deadline."""

    status = 503
    code = "overloaded"
    default_retry_after = 1.0


class TritonUnavailable(EdgeLensError):
    """Triton cannot be reached, is starting or is being healed."""

    status = 503
    code = "triton_unavailable"
    default_retry_after = 2.0


class TritonUnreachable(TritonUnavailable):
    """Nothing listens at Triton's address, or its name has none."""


class ModelNotReady(TritonUnavailable):
    """Triton answers, but this model cannot: it was retired, is being loaded, or is broken."""


class KeysUnavailable(EdgeLensError):
    """No API key can be checked: the operator's file of keys is missing or broken."""

    status = 503
    code = "keys_unavailable"
    default_retry_after = 2.0


class DeadlineExceeded(EdgeLensError):
    """The answer would have come too late."""

    status = 504
    code = "deadline_exceeded"
