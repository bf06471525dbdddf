"""The one error of `make serve`."""


class ServeError(Exception):
    """Something the user can mend; its text is what the terminal shows."""
