"""Writes to Triton's log, each line beginning with the model's name."""

from typing import Any


class Log:
    """The log of one model; `logger` is `pb_utils.Logger`."""

    def __init__(self, logger: Any, model: str) -> None:
        self._logger, self._model = logger, model

    def info(self, message: str) -> None:
        """Log what went as it should."""
        self._logger.log_info(f"{self._model}: {message}")

    def warn(self, message: str) -> None:
        """Log what an operator should know."""
        self._logger.log_warn(f"{self._model}: {message}")
