"""A real HTTP server on loopback that fails as it is told to, and notes who came when.

with FlakyServer([Answer(503, retry_after="1"), RESET, Answer()]) as server:
    urlopen(server.url)
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from types import TracebackType
from typing import Final, Literal, NamedTuple, final

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

BODY: Final = b"a body of 25 characters.\n"
SLOW_BYTE_S: Final = 0.1  # so that the whole body takes 2.5 seconds
_GIVEN_UP_S: Final = 10.0  # nothing here lasts longer


@final
@dataclass(frozen=True)
class Answer:
    """What a request gets.

    Attributes:
        status: Its status.
        retry_after: A header of that name.
        manner: Whether it comes whole, or with its body byte by byte, or never, or a
            reset of the connection instead.
    """

    status: int = 200
    retry_after: str | None = None
    manner: Literal["whole", "slow", "hang", "reset"] = "whole"

    @property
    def head(self) -> bytes:
        """What stands before the body."""
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Length: {len(BODY)}",
            "Connection: close",
        ]
        if self.retry_after is not None:
            lines.append(f"Retry-After: {self.retry_after}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


OK: Final = Answer()
HANG: Final = Answer(manner="hang")
RESET: Final = Answer(manner="reset")
SLOW: Final = Answer(manner="slow")


class Arrival(NamedTuple):
    """A request that has arrived: what for, and when by `time.monotonic`."""

    path: str
    at: float


@final
class FlakyServer:
    """Answers the requests for each path, in the order of their arrival, by a script.

    It runs in a thread of its own, until its block is left.

    Args:
        script: The answers for a path; the last goes for all that come after it.

    Attributes:
        arrivals: The requests so far.
    """

    def __init__(self, script: Sequence[Answer]) -> None:
        self.arrivals: list[Arrival] = []
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    @property
    def gaps(self) -> list[float]:
        """Seconds between each request and the next."""
        times = [arrival.at for arrival in self.arrivals]
        return [after - before for before, after in pairwise(times)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_GIVEN_UP_S)
        assert not self._thread.is_alive(), "the server never came to its end"

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        serving: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._respond(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)

        server = await asyncio.start_server(begin, sock=self._socket)
        await self._end.wait()
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _respond(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            with suppress(ConnectionError):
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode("ascii")
                before = sum(path == it.path for it in self.arrivals)
                self.arrivals.append(Arrival(path, time.monotonic()))
                nth = min(before, len(self._script) - 1)
                await self._send(self._script[nth], writer)
        finally:
            if self._end.is_set():
                writer.transport.abort()  # whoever has not read by now has gone
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()  # noqa: ASYNC102 - it ends at once

    async def _send(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        if answer.manner == "reset":
            # Nothing lingers: what the socket sends as it is closed is a reset.
            now = struct.pack("ii", 1, 0)
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            writer.transport.abort()
        elif answer.manner == "hang":
            await self._end.wait()
        elif answer.manner == "slow":
            writer.write(answer.head)
            for at in range(len(BODY)):
                writer.write(BODY[at : at + 1])
                await writer.drain()
                await asyncio.sleep(SLOW_BYTE_S)  # noqa: HC14 - it is slow
        else:
            writer.write(answer.head + BODY)
            await writer.drain()
