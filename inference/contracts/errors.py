"""What ends a check early, each as one sentence."""


class Deviation(Exception):
    """Something is not as the contract says."""


class Unreachable(Exception):
    """The server cannot be asked at all, or does not have what is to be checked."""
