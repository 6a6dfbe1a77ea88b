"""HTTP clients for a thread and for a task, just enough for the demo's server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from .server import HOST, PATH

# A loopback server that takes longer than this is not going to answer.
_PATIENCE_S = 5.0
_HEAD_BYTES = 8192


class ThreadClient:
    """One connection, kept open, for one thread."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def get(self) -> int:
        """Send a request, wait for the whole answer, and return its status."""
        self._connection.request("GET", PATH)
        with self._connection.getresponse() as response:
            response.read()
            return response.status


class TaskClient:
    """One connection, kept open, for one task of asyncio or trio."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._answers = BufferedByteReceiveStream(stream)

    async def get(self) -> int:
        """Send a request, wait for the whole answer, and return its status."""
        with anyio.fail_after(_PATIENCE_S):
            await self._stream.send(
                f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
            )
            head = await self._answers.receive_until(b"\r\n\r\n", _HEAD_BYTES)
            status, length = parse_head(head)
            await self._answers.receive_exactly(length)
        return status


@contextmanager
def thread_client(port: int) -> Generator[ThreadClient, None, None]:
    """Give a client of the server on *port*, and close its connection afterwards."""
    connection = HTTPConnection(HOST, port, timeout=_PATIENCE_S)
    try:
        connection.connect()
        yield ThreadClient(connection)
    finally:
        connection.close()


@asynccontextmanager
async def task_client(port: int) -> AsyncGenerator[TaskClient, None]:
    """Give a client of the server on *port*, and close its connection afterwards."""
    # Shielded, since a connect that is cancelled can lose its socket.
    with anyio.fail_after(_PATIENCE_S, shield=True):
        stream = await anyio.connect_tcp(HOST, port)
    async with stream:
        yield TaskClient(stream)


def parse_head(head: bytes) -> tuple[int, int]:
    """Say what the head of an answer says.

    Args:
        head: All up to the empty line.

    Returns:
        The status, and the length of the body that follows.

    Raises:
        ValueError: If it isn't the head of an answer, or doesn't say how long it is.
    """
    status_line, *fields = head.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    lengths = [
        value
        for name, _, value in (field.partition(":") for field in fields)
        if name.lower() == "content-length"
    ]
    if not version.startswith("HTTP/") or len(lengths) != 1:
        raise ValueError(f"expected an HTTP answer with a length, not {head[:60]!r}")
    return int(rest[:3]), int(lengths[0])
