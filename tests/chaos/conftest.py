"""The same real stack as the end-to-end tests, here to be harmed."""

from tests.e2e.conftest import gateway, repository, triton

__all__ = ["gateway", "repository", "triton"]
