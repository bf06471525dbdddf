"""What keeps a version from going into service."""


class DeployError(Exception):
    """The deployment was not begun or was taken back; the message says why and what to do."""
