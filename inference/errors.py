"""What can go wrong around Triton, each as one sentence a user can act on."""


class LaunchError(Exception):
    """Triton cannot be started or kept running; the message says what to do."""


class ProcessLost(LaunchError):
    """A model's process died while Triton was loading it."""

    def __init__(self, model: str, message: str) -> None:
        super().__init__(message)
        self.model = model


class TritonError(Exception):
    """A call to Triton did not succeed."""


class TritonAway(TritonError):
    """Nothing answers at Triton's address, or the connection broke."""


class TritonSilent(TritonError):
    """Triton accepted the call but did not answer in time."""


class TritonRefused(TritonError):
    """Triton answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        reason = message.partition("\n\nAt:")[0]  # a model's traceback, which Triton appends
        super().__init__(" ".join(reason.split()))
        self.status = status
