"""HTTP clients for a thread and for a task, just enough for the demo's server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection
from types import MappingProxyType

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from .heads import Head, Reply, parse_reply
from .server import HOST, PATH

# A loopback server that takes longer than this is not going to answer.
_PATIENCE_S = 5.0
_HEAD_BYTES = 8192
_NOTHING: Mapping[str, str] = MappingProxyType({})


class ThreadClient:
    """One connection, kept open, for one thread."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def get(self, fields: Mapping[str, str] = _NOTHING) -> Reply:
        """Send a request with *fields*, wait for the whole answer, and return it."""
        self._connection.request("GET", PATH, headers=dict(fields))
        with self._connection.getresponse() as response:
            response.read()
            said = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, said)


class TaskClient:
    """One connection, kept open, for one task of asyncio or trio."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._answers = BufferedByteReceiveStream(stream)

    async def get(self, fields: Mapping[str, str] = _NOTHING) -> Reply:
        """Send a request with *fields*, wait for the whole answer, and return it."""
        request = Head(f"GET {PATH} HTTP/1.1", {"Host": HOST, **fields})
        with anyio.fail_after(_PATIENCE_S):
            await self._stream.send(bytes(request))
            head = await self._answers.receive_until(b"\r\n\r\n", _HEAD_BYTES)
            reply, length = parse_reply(head)
            await self._answers.receive_exactly(length)
        return reply


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
