"""The errors that the user can fix; their text is what the terminal shows."""


class ExportError(Exception):
    """Stop the export, with one clear sentence that says what to do."""


class WeightsUnavailable(ExportError):
    """The ImageNet weights can be neither found on this machine nor downloaded."""
