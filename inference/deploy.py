"""Bring a version of a model into service: `python -m inference.deploy MODEL --version N`.

Exit status: 0 done, 1 the version was refused or taken back, 2 a wrong setting.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends it silently

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gateway.address import Address, AddressError
from gateway.ask import answers
from gateway.cgroups import SELF
from gateway.model_names import is_classifier
from gateway.setting import SettingError, argument, whole
from gateway.signals import on_ending
from gateway.terminal import say
from inference.admin_client import AdminClient
from inference.admin_key import find_admin_key
from inference.contracts.endpoint import Endpoint
from inference.contracts.errors import Unreachable
from inference.deployment.deployment import Deployment
from inference.deployment.errors import DeployError
from inference.deployment.memory import available_memory, membership_of
from inference.deployment.model_files import ModelFiles
from inference.deployment.server import Server
from inference.grpc_control import GrpcControl
from inference.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy, or say in one sentence why not; return the exit status."""
    options = _parser().parse_args(arguments)
    on_ending(signal.default_int_handler)
    try:
        deployment = _deployment(options)
        if options.rollback:
            deployment.roll_back(options.keep)
        else:
            deployment.deploy(options.version, options.keep)
    except SettingError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 2
    except (DeployError, Unreachable) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"deploy: cannot change the repository: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("deploy: interrupted; what was served before is still served", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.deploy",
        description="Load a version beside the one that serves, self-test it with its golden"
        " picture, switch to it, and roll back if it fails. Run it where the server's repository"
        " is. The admin key comes from TRITON_ADMIN_KEY or from the launcher's file.",
    )
    parser.add_argument("model", metavar="MODEL")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--version", type=argument(whole(1)), metavar="N", help="serve version N")
    action.add_argument("--rollback", action="store_true", help="serve the previous version")
    parser.add_argument(
        "--keep",
        type=argument(whole(0)),
        default=1,
        metavar="COUNT",
        help="how many older versions stay loaded and addressable (default: 1)",
    )
    parser.add_argument("--repository", type=Path, metavar="DIR", help="default: MODEL_REPOSITORY")
    parser.add_argument("--url", metavar="URL", help="default: http://TRITON_HOST:TRITON_HTTP_PORT")
    return parser


def _deployment(options: argparse.Namespace) -> Deployment:
    if not is_classifier(options.model):
        raise DeployError(f"{options.model} belongs to a model: deploy that one, and it follows")
    settings = Settings.from_env(os.environ, options.repository)
    address = _address(options.url) if options.url else settings.http
    http = Endpoint.http(address.netloc)
    if not http.is_live():
        starting = not options.url and _is_starting(settings)
        advice = "Triton is starting, try again" if starting else "start the server, or give --url"
        raise DeployError(f"nothing answers at http://{address.netloc}: {advice}")
    key = find_admin_key(os.environ)
    client = AdminClient(address.host, address.port, key)
    # If nothing answers over gRPC, loads go over HTTP and stall some of its clients.
    grpc = address.next_port() if options.url else settings.grpc.netloc
    control = GrpcControl(grpc, key) if Endpoint.grpc(grpc).is_live() else client
    files = ModelFiles(settings.repository, options.model, settings.model_config_name)
    membership = membership_of(address.port) if address.is_local else SELF
    available = partial(available_memory, membership=membership)
    return Deployment(files, Server(client, control, http, say), say, available)


def _is_starting(settings: Settings) -> bool:
    """Tell whether the launcher answers, although its Triton does not."""
    launcher = Address("http", settings.reachable_host, settings.health_port).netloc
    return answers(f"http://{launcher}/healthz", timeout=2.0)


def _address(url: str) -> Address:
    """Read --url. Raises DeployError for an address to which the admin key must not be sent."""
    try:
        address = Address.parse(url)
    except AddressError as error:
        raise DeployError(str(error)) from None
    if address.scheme != "http" or address.path:
        raise DeployError(
            f"{url} is not Triton's own address; give one like http://127.0.0.1:8000: a deployment"
            " talks to Triton itself, not through https or a proxy"
        )
    return address


if __name__ == "__main__":
    sys.exit(main())
