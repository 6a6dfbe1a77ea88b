"""The command line: which commands there are, their options, and how they end."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence

from .. import __version__
from .._errors import ConcutilError
from .plan import (
    LEAST_RATE,
    LEAST_SECONDS,
    MOST_RATE,
    MOST_SECONDS,
    Plan,
)

FAILED, INTERRUPTED = 1, 130
_LAST_PORT = 65535
_PROG = "python -m concutil"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    After --help, --version and usage errors argparse raises `SystemExit`.

    Args:
        arguments: What stands behind `python -m concutil`; None takes `sys.argv`.

    Returns:
        The exit status.
    """
    try:
        options = _parse(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"\n{_PROG}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ConcutilError as exc:
        print(f"\n{_PROG}: {exc}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status


def _parse(arguments: Sequence[str] | None) -> Namespace:
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # argparse would blame them on the parser that knows no options
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=_PROG,
        description="Limits, retries and caches that threads, asyncio and trio share.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"concutil {__version__}"
    )
    parser.set_defaults(run=_help, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(commands.add_parser)
    return parser


def _help(options: Namespace) -> int:
    options.parser.print_help()
    return 0


def _add_demo(add_parser: Callable[..., ArgumentParser]) -> None:
    summary = "hold threads, asyncio and trio to one rate limit, with real requests"
    parser = add_parser(
        "demo",
        help=summary,
        description=f"{summary.capitalize()} to a server on this machine, beside the"
        " limiter that everyone writes first; then to a limit of tokens, with a pause"
        " that the server asks for; then calls to a server that fails, beside the retry"
        " loop that everyone writes first; then a stampede on slow pages, beside the"
        " cache that everyone writes first. Ends with 0 if the limits and the pause"
        " were kept, retries made no storm, each page was asked for once and all counts"
        " add up, else with 1. It takes about 15 seconds.",
        allow_abbrev=False,
    )
    _add_demo_options(parser.add_argument)
    parser.set_defaults(run=_demo, parser=parser)


def _add_demo_options(add: Callable[..., object]) -> None:
    usual = Plan()
    add(
        "--rate",
        metavar="PER_SECOND",
        type=_number_between(LEAST_RATE, MOST_RATE),
        default=usual.rate,
        help="requests per second of the first part; tokens are 50 times as many,"
        f" {LEAST_RATE:g} to {MOST_RATE:g} (%(default)g)",
    )
    add(
        "--seconds",
        metavar="SECONDS",
        type=_number_between(LEAST_SECONDS, MOST_SECONDS),
        default=usual.seconds,
        help="how long the first part is to last,"
        f" {LEAST_SECONDS:g} to {MOST_SECONDS:g} (%(default)g)",
    )
    add(
        "--port",
        metavar="PORT",
        type=_port,
        default=usual.port,
        help="where the server listens on 127.0.0.1; 0 for any free port (%(default)d)",
    )


def _demo(options: Namespace) -> int:
    from .demo import demo

    return demo(Plan(options.rate, options.seconds, options.port), sys.stdout)


def _number_between(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = least - 1.0
        if not least <= value <= most:  # so that NaN is wrong too
            raise ArgumentTypeError(
                f"expected a number from {least:g} to {most:g}, not {text!r}"
            )
        return value

    return number


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > _LAST_PORT:
        raise ArgumentTypeError(f"expected a port from 0 to {_LAST_PORT}, not {text!r}")
    return int(text)
