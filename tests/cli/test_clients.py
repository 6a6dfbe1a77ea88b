import anyio
import pytest

from concutil._cli.clients import task_client, thread_client
from concutil._cli.heads import Reply
from concutil._cli.server import Ledger, serving
from concutil._cli.tokens import TokenLedger


def test_a_thread_sees_each_status() -> None:
    """The client for threads gives the status of every answer on one connection."""
    with serving(Ledger(1)) as port, thread_client(port) as client:
        assert [client.get().status, client.get().status] == [200, 429]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_sees_each_status(backend: str) -> None:
    """The client for tasks does the same on both event loops."""

    async def statuses(port: int) -> list[int]:
        async with task_client(port) as client:
            return [(await client.get()).status, (await client.get()).status]

    with serving(Ledger(1)) as port:
        assert anyio.run(statuses, port, backend=backend) == [200, 429]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_fields_go_both_ways(backend: str) -> None:
    """Threads and tasks send fields with a request, and get those of the answer."""

    async def in_a_task(port: int) -> Reply:
        async with task_client(port) as client:
            return await client.get({"Max-Tokens": "200"})

    with serving(TokenLedger(overloaded_at=3)) as port:
        with thread_client(port) as client:
            from_a_thread = client.get({"Max-Tokens": "100"})
        from_a_task = anyio.run(in_a_task, port, backend=backend)
    assert from_a_thread.fields["tokens-used"] == "40"
    assert from_a_task.fields["tokens-used"] == "180"
