"""Check a running server against the contract its models state: `python -m inference.selftest`.

Exit status: 0 as promised, 1 something deviates, 2 it could not be checked.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it silently

import argparse
import os
import sys
from collections.abc import Sequence

from gateway.address import Address
from gateway.model_names import is_classifier
from gateway.setting import SettingError, argument, whole
from gateway.terminal import say
from inference.admin_key import find_admin_key
from inference.contracts.check import Check
from inference.contracts.endpoint import Endpoint
from inference.contracts.errors import Deviation, Unreachable
from inference.contracts.report import Report
from inference.model_config import has_contract
from inference.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for every check; return the exit status."""
    options = _parser().parse_args(arguments)
    options.version = str(options.version or "")
    report = Report(say)
    try:
        endpoints = _endpoints(options, report)
        for model in _models(options, endpoints[0]):
            Check(endpoints, model, options.version, report).run()
    except (SettingError, Unreachable) as error:
        print(f"selftest: {error}", file=sys.stderr)
        return 2
    count = len(report.deviations)
    say(f"{count} deviation{'s' if count != 1 else ''}" if count else "No deviations.")
    return 1 if count else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.selftest",
        description="Check a running Triton against its own contract: golden picture, tensor,"
        " labels, batch and ensemble, over HTTP and gRPC.",
        epilog="A probability may differ from the contract's by 0.001 at precision f32, 0.03 at"
        " bf16, 0.1 at int8 or auto. Exit status: 0 no deviation, 1 deviations, 2 not checked.",
    )
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="HTTP endpoint (default: http://TRITON_HOST:TRITON_HTTP_PORT)",
    )
    parser.add_argument("--model", metavar="M", help="default: every model with a contract")
    parser.add_argument(
        "--version", type=argument(whole(1)), metavar="N", help="default: the newest"
    )
    parser.add_argument(
        "--grpc",
        metavar="HOST:PORT",
        help="gRPC endpoint; default: URL's port + 1, or TRITON_GRPC_PORT, if it answers",
    )
    return parser


def _endpoints(options: argparse.Namespace, report: Report) -> list[Endpoint]:
    """Open both protocols. Raises Unreachable unless HTTP, and gRPC if asked for, answers."""
    url, beside = (options.url, None) if options.url else _own_server()
    http = Endpoint.http(url)
    if not http.is_live():
        raise Unreachable(f"no Triton answers at {url}; is it running, and on that port?")
    address = options.grpc or beside or Address.parse(url).next_port()
    grpc = Endpoint.grpc(address)
    if grpc.is_live():
        return [http, grpc]
    if options.grpc:
        raise Unreachable(f"nothing answers over gRPC at {address}")
    report.note(f"no gRPC at {address}, so only HTTP is checked; give --grpc HOST:PORT")
    return [http]


def _own_server() -> tuple[str, str]:
    """Say where the settings put HTTP and gRPC. Raises SettingError."""
    settings = Settings.from_env(os.environ)
    return f"http://{settings.http.netloc}", settings.grpc.netloc


def _models(options: argparse.Namespace, http: Endpoint) -> list[str]:
    """Name the models to check. Raises Unreachable if there is none or none can be found."""
    if options.model:
        if not is_classifier(options.model):
            raise Unreachable(f"{options.model} belongs to a model: check that one")
        try:
            http.config(options.model, options.version)
        except Deviation as error:
            raise Unreachable(f"{options.model} cannot be checked: {error}") from None
        return [options.model]
    with_contract = [model for model in _loaded(options, http) if _has_contract(http, model)]
    if not with_contract:
        raise Unreachable("no model with a contract is loaded")
    return with_contract


def _loaded(options: argparse.Namespace, http: Endpoint) -> list[str]:
    """Name the models that serve, without companions. Raises Unreachable if it may not ask."""
    try:
        # The key is only for this machine's server: no other server may see it.
        local = not options.url or Address.parse(options.url).is_local
        loaded = http.models(find_admin_key(os.environ) if local else "")
    except Deviation:
        raise Unreachable(
            "the server does not say which models it has; name one with --model"
        ) from None
    return sorted({model for model, _ in loaded if is_classifier(model)})


def _has_contract(http: Endpoint, model: str) -> bool:
    """Tell whether a model states a contract; one that was unloaded meanwhile has none."""
    try:
        return has_contract(http.config(model))
    except Deviation:
        return False


if __name__ == "__main__":
    sys.exit(main())
