import anyio
import pytest

from concutil._cli.clients import parse_head, task_client, thread_client
from concutil._cli.server import Ledger, serving


def test_a_thread_sees_each_status() -> None:
    """The client for threads gives the status of every answer on one connection."""
    with serving(Ledger(1)) as port, thread_client(port) as client:
        assert [client.get(), client.get()] == [200, 429]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_sees_each_status(backend: str) -> None:
    """The client for tasks does the same on both event loops."""

    async def statuses(port: int) -> list[int]:
        async with task_client(port) as client:
            return [await client.get(), await client.get()]

    with serving(Ledger(1)) as port:
        assert anyio.run(statuses, port, backend=backend) == [200, 429]


def test_fields_of_a_head_are_found_by_any_case() -> None:
    """The length counts however its name is written."""
    head = b"HTTP/1.1 429 Too Many\r\nDate: 12:00:00\r\ncontent-LENGTH:  12 "
    assert parse_head(head) == (429, 12)


@pytest.mark.parametrize(
    "head",
    [b"SSH-2.0-OpenSSH", b"HTTP/1.1 200 OK", b"HTTP/1.1 many\r\nContent-Length: 1"],
)
def test_what_is_no_answer_is_an_error(head: bytes) -> None:
    """A head without status or length is a ValueError, not a guess."""
    with pytest.raises(ValueError, match=r"expected|invalid literal"):
        parse_head(head)
