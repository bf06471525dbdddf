"""The one error of `make serve`."""


class ServeError(Exception):
    """A problem that the user can fix; its text is what the terminal shows."""
