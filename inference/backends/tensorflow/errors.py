"""What stops a model from being loaded, or one request from being answered."""


class LoadError(Exception):
    """A model that cannot be served; the message says why and what to do."""


class RequestError(Exception):
    """A request that cannot be answered; its neighbours in the batch can."""
