"""A small HTTP server on the loopback interface that counts, and refuses the hasty."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol

import anyio
from anyio.abc import SocketListener, SocketStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.buffered import BufferedByteReceiveStream

from .._errors import ConcutilError
from .._runtime import clock
from .heads import Head, Reply, parse_head

HOST = "127.0.0.1"
PATH = "/call"
OK, NOT_FOUND, TOO_MANY_REQUESTS, UNAVAILABLE = 200, 404, 429, 503

# What is no call of the demo gets this, and the end of its connection.
NOT_OURS = Reply(NOT_FOUND, {"Connection": "close"})

_HEAD_BYTES = 8192
_REASONS = {
    OK: "OK",
    NOT_FOUND: "Not Found",
    TOO_MANY_REQUESTS: "Too Many Requests",
    UNAVAILABLE: "Service Unavailable",
}


class ListenError(ConcutilError):
    """The server's port could not be opened."""


class Book(Protocol):
    """What a server notes, and how it decides what to answer."""

    arrivals: list[float]
    refused: int

    def arrive(self, at: float, fields: Mapping[str, str]) -> Reply:
        """Note a call that arrives at the time *at*, and return what to answer."""
        ...


class Ledger:
    """What arrived when, and what of it was refused.

    Args:
        most_per_second: How many arrivals of any one second are served.
    """

    def __init__(self, most_per_second: int) -> None:
        self.most_per_second = most_per_second
        self.arrivals: list[float] = []
        self.refused = 0
        # Served within the last second; never more than most_per_second.
        self._served: deque[float] = deque()

    def arrive(self, at: float, fields: Mapping[str, str]) -> Reply:  # noqa: ARG002  # it treats all alike
        """Note an arrival at the time *at*, and return what to answer."""
        self.arrivals.append(at)
        while self._served and self._served[0] <= at - 1.0:
            self._served.popleft()
        if len(self._served) >= self.most_per_second:
            self.refused += 1
            return Reply(TOO_MANY_REQUESTS, {"Retry-After": "1"})
        self._served.append(at)
        return Reply(OK, {})


@contextmanager
def serving(
    ledger: Book, *, port: int = 0, answer_s: float = 0.0
) -> Generator[int, None, None]:
    """Serve on loopback in a thread of its own, and give the port; 0 takes a free one.

    A port that can't be opened is a `ListenError`. Each answer takes *answer_s*.
    """
    with start_blocking_portal(name="concutil-demo-server") as portal:
        listening = _listen(port)
        opened: int = listening.getsockname()[1]
        server = portal.start_task_soon(_serve, listening, ledger, answer_s)
        try:
            yield opened
        finally:
            server.cancel()


def _listen(port: int) -> socket.socket:
    """Open *port* on loopback.

    Args:
        port: Which port; 0 takes a free one.

    Returns:
        The socket that listens.

    Raises:
        ListenError: If it can't be opened.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else exc
        raise ListenError(
            f"can't listen on {HOST}:{port}: {reason};"
            " take another --port, or 0 for a free one"
        ) from exc


async def _serve(listening: socket.socket, ledger: Book, answer_s: float) -> None:
    async with await SocketListener.from_socket(listening) as listener:
        await listener.serve(partial(_converse, ledger, answer_s))


async def _converse(ledger: Book, answer_s: float, stream: SocketStream) -> None:
    """Answer one connection's requests until it ends or makes no sense."""
    requests = BufferedByteReceiveStream(stream)
    gone = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError)
    async with stream:
        with suppress(*gone, anyio.DelimiterNotFound):
            status = OK
            while status != NOT_FOUND:
                head = await requests.receive_until(b"\r\n\r\n", _HEAD_BYTES)
                reply = _answer(ledger, parse_head(head), clock.monotonic())
                status = reply.status
                await anyio.sleep(answer_s)
                await stream.send(_message(reply))


def _answer(ledger: Book, head: Head, at: float) -> Reply:
    """Return the answer to a request; what isn't ours is not counted."""
    if head.line == f"GET {PATH} HTTP/1.1":
        return ledger.arrive(at, head.fields)
    return NOT_OURS


def _message(reply: Reply) -> bytes:
    reason = _REASONS[reply.status]
    body = f"{reason}\n".encode()
    fields = {"Content-Type": "text/plain", "Content-Length": str(len(body))}
    head = Head(f"HTTP/1.1 {reply.status} {reason}", {**fields, **reply.fields})
    return bytes(head) + body
