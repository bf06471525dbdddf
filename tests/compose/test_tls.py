"""TLS at the balancer, as deploy/tls.yml adds it."""

from dataclasses import replace
from pathlib import Path

import pytest
import urllib3

from tests.compose.docker import docker, run
from tests.compose.stack import Stack, address_of
from tests.waiting import wait_until

HOST = "edgelens.test"
FILES = ("-f", "docker-compose.yml", "-f", "deploy/tls.yml")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of our own, with its key in the same file."""
    key, certificate, both = (tmp_path / name for name in ("key", "certificate", "both.pem"))
    names = ("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")
    made = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names)
    run("openssl", "req", *made, "-keyout", key, "-out", certificate)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def test_the_balancer_speaks_tls_with_the_certificate_it_is_given(
    stack: Stack, certificate: Path
) -> None:
    certificate.chmod(0o644)
    secured = replace(stack, extra={**stack.extra, "TLS_PEM": str(certificate)})
    name = f"{stack.project}-tls"
    secured.compose(*FILES, "run", "--detach", "--no-deps", "--name", name, "balancer")
    try:
        with urllib3.HTTPSConnectionPool(
            address_of(name), 5000, ca_certs=str(certificate), assert_hostname=HOST, timeout=5
        ) as pool:
            wait_until(lambda: answers(pool), "a gateway answers over TLS", 60)
    finally:
        docker("rm", "--force", name)


def answers(pool: urllib3.HTTPSConnectionPool) -> bool:
    try:
        return pool.request("GET", "/healthz", retries=False).status == 200
    except urllib3.exceptions.NewConnectionError:  # HAProxy is still starting
        return False
