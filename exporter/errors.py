"""What can go wrong for a reason that the user can mend; the text is what the terminal shows."""


class ExportError(Exception):
    """Stop the export, with one clear sentence that says what to do."""


class WeightsUnavailable(ExportError):
    """The ImageNet weights can be neither found on this machine nor downloaded."""
