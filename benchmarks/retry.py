"""What a retry policy costs: calls that succeed, calls that fail, and many at once.

    python benchmarks/retry.py [--quick]

First the wrapper alone: what is called does nothing and succeeds at once. Beside ours
and its peers stand two wrappers written by hand, for any arguments as all others: a
`try` that calls once more, and a `for` loop of attempts. Then three attempts that all
fail, and the error comes out: no wait is longer than 0 seconds, and nobody is told, for
logging is disabled and stamina's own hooks are off. All times are CPU time: even a
sleep of 0 seconds stops a thread.

Last so many asyncio tasks at once, which share one policy and one budget. Each fails,
waits a little with all the others, and succeeds: CPU time of a call, and its memory
while all wait. Beside them the same tasks that only sleep once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any

from side_by_side import (
    Cell,
    Measure,
    least,
    peer,
    print_head,
    print_table,
    wants_quick,
    with_ratios,
)

from concutil import Rate, RateLimiter, RetryBudget, retry

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]
Decorators = dict[str, Decorator]
Blocks = Callable[[], Iterable[Any]]  # one use of a block: its attempts
AsyncCall = Callable[[list[None]], Awaitable[object]]

ENDLESS = Rate(1e9)  # no machine gets there, so nobody waits
WAIT_S = 0.01  # of those who wait together

stamina, tenacity, backoff = map(peer, ("stamina", "tenacity", "backoff"))


def once_more(fn: Function) -> Function:
    """Return *fn* with a second attempt, as one writes it without a loop."""

    @wraps(fn)
    def call(*args: object, **kwargs: object) -> object:
        try:
            return fn(*args, **kwargs)
        except ValueError:
            return fn(*args, **kwargs)

    @wraps(fn)
    async def acall(*args: object, **kwargs: object) -> object:
        try:
            return await fn(*args, **kwargs)
        except ValueError:
            return await fn(*args, **kwargs)

    return acall if iscoroutinefunction(fn) else call


def by_hand(fn: Function, *, attempts: int, wait: float) -> Function:
    """Return *fn* with so many attempts, as one writes it with a loop."""
    if iscoroutinefunction(fn):
        return by_hand_async(fn, attempts=attempts, wait=wait)

    @wraps(fn)
    def call(*args: object, **kwargs: object) -> object:
        for left in range(attempts - 1, -1, -1):
            try:
                return fn(*args, **kwargs)
            except ValueError:
                if not left:
                    raise
            time.sleep(wait)
        raise AssertionError

    return call


def by_hand_async(fn: Function, *, attempts: int, wait: float) -> Function:
    """Return the async *fn* with so many attempts."""

    @wraps(fn)
    async def call(*args: object, **kwargs: object) -> object:
        for left in range(attempts - 1, -1, -1):
            try:
                return await fn(*args, **kwargs)
            except ValueError:
                if not left:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError

    return call


def others(*, attempts: int = 5, wait: float = 0) -> Decorators:
    """Return who else retries a `ValueError` so often, with no deadline but stamina."""
    result: Decorators = {
        "a loop by hand": partial(by_hand, attempts=attempts, wait=wait)
    }
    if stamina is not None:
        result["stamina"] = stamina.retry(
            on=ValueError, attempts=attempts, wait_initial=wait, wait_jitter=0
        )
    if tenacity is not None:
        result["tenacity"] = tenacity.retry(
            retry=tenacity.retry_if_exception_type(ValueError),
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_fixed(wait),
            reraise=True,
        )
    if backoff is not None:
        result["backoff"] = backoff.on_exception(
            backoff.constant, ValueError, max_tries=attempts, interval=wait, jitter=None
        )
    return result


def ours(**options: Any) -> Decorators:
    """Return our policies that retry a `ValueError`, by what sets them apart."""
    policy = partial(retry, ValueError, jitter="none", **options)
    return {
        "retry": policy(),
        "retry, timeout=None": policy(timeout=None),
        "retry, a limiter": policy(limiter=RateLimiter(ENDLESS)),
        "retry, a budget": policy(budget=RetryBudget(ratio=10)),  # never spent
    }


def works() -> None:
    pass


async def aworks() -> None:
    pass


def fails() -> None:
    raise ValueError


async def afails() -> None:  # noqa: ASYNC124, RUF029 - so are its callers
    raise ValueError


def in_a_thread(call: Function, times: int) -> Measure:
    def measure() -> tuple[float]:
        start = time.thread_time()
        for _ in range(times):
            try:  # noqa: SIM105 - which costs as much as a wrapper
                call()
            except ValueError:
                pass
        return ((time.thread_time() - start) / times * 1e9,)

    return measure


def in_a_task(call: Function, times: int) -> Measure:
    async def call_and_call() -> float:
        start = time.thread_time()
        for _ in range(times):
            try:  # noqa: SIM105 - as above
                await call()
            except ValueError:
                pass
        return (time.thread_time() - start) / times * 1e9

    return lambda: (asyncio.run(call_and_call()),)


def compare(title: str, contestants: dict[str, Measure], rounds: int) -> None:
    """Print what each takes, and how that compares with each that isn't ours."""
    beside = [name for name in contestants if not name.startswith("retry")]
    best = least(contestants, rounds=rounds)
    headings = ("", "ns of CPU", *[f"/ {name}" for name in beside])
    print_table(title, headings, with_ratios(best, beside))


def compare_calls(times: int, rounds: int) -> None:
    well: Decorators = {"a try by hand": once_more, **others(), **ours()}
    badly = {**others(attempts=3), **ours(attempts=3, wait_initial=0)}
    for what, decorators, fn, afn in (
        ("that succeeds", well, works, aworks),
        ("that fails three times", badly, fails, afails),
    ):
        calls = {name: in_a_thread(it(fn), times) for name, it in decorators.items()}
        compare(f"A call {what}", calls, rounds)
        calls = {name: in_a_task(it(afn), times) for name, it in decorators.items()}
        compare(f"An awaited call {what}, on asyncio", calls, rounds)


def blocks() -> dict[str, Blocks]:
    """Return how each begins a block; stamina's objects are made for each, as meant."""
    result: dict[str, Blocks] = {}
    if stamina is not None:
        result["stamina"] = partial(stamina.retry_context, on=ValueError, attempts=5)
    if tenacity is not None:
        stop = tenacity.stop_after_attempt(5)
        result["tenacity"] = partial(tenacity.Retrying, stop=stop, reraise=True)
    for name, policy in ours().items():
        result[name] = partial(_itself, policy)
    return result


def _itself(policy: Any) -> Iterable[Any]:
    rounds: Iterable[Any] = policy
    return rounds


def enter_and_leave(attempts: Blocks) -> None:
    for attempt in attempts():
        with attempt:
            pass


async def flaky(fails_left: list[None]) -> None:  # noqa: ASYNC124, RUF029 - as above
    """Fail as often as there are items in the list."""
    if fails_left:
        fails_left.pop()
        raise ValueError


async def sleeper(fails_left: list[None]) -> None:
    fails_left.pop()
    await asyncio.sleep(WAIT_S)


def crowds() -> dict[str, AsyncCall]:
    """Return what each of many tasks calls."""
    options: dict[str, Any] = {"wait_initial": WAIT_S, "jitter": "none"}
    shared = RetryBudget(1.0, window=600.0)
    result: dict[str, AsyncCall] = {"asyncio.sleep": sleeper}
    for name, decorator in others(wait=WAIT_S).items():
        result[name] = decorator(flaky)
    result["retry"] = retry(ValueError, budget=shared, **options)(flaky)
    endless = retry(ValueError, budget=shared, timeout=None, **options)
    result["retry, timeout=None"] = endless(flaky)
    return result


def started(call: AsyncCall, number: int) -> list[asyncio.Task[object]]:
    async def client() -> object:
        return await call([None])

    return [asyncio.create_task(client()) for _ in range(number)]


async def us_per_call(call: AsyncCall, number: int) -> tuple[float]:
    """Return the CPU time of one call among so many, in µs."""
    gc.collect()
    begun = time.process_time()
    await asyncio.gather(*started(call, number))
    return ((time.process_time() - begun) / number * 1e6,)


async def bytes_per_call(call: AsyncCall, number: int) -> float:
    """Return the memory of one call while so many wait."""
    await call([None])  # what is made once is made now
    gc.collect()
    tracemalloc.start()
    try:
        tasks = started(call, number)
        await asyncio.sleep(0)  # each has failed now, and waits
        taken = tracemalloc.get_traced_memory()[0] / number
    finally:
        tracemalloc.stop()
    await asyncio.gather(*tasks)
    return taken


def on_asyncio(main: Callable[[], Coroutine[Any, Any, tuple[float]]]) -> Measure:
    return lambda: asyncio.run(main())


def compare_crowds(rounds: dict[int, int], *, weighed: int) -> None:
    """Print the cost of a call for each number of them, least of so many rounds."""
    calls = crowds()
    columns = [
        least(
            {
                name: on_asyncio(partial(us_per_call, call, number))
                for name, call in calls.items()
            },
            rounds=times,
        )
        for number, times in rounds.items()
    ]
    memory = {
        name: asyncio.run(bytes_per_call(call, weighed)) for name, call in calls.items()
    }
    rows: list[list[Cell]] = []
    for name, taken in memory.items():
        figures = [column[name][0] for column in columns]
        row: list[Cell] = [name, *[f"{figure:.1f}" for figure in figures]]
        row += [figures[-1] / figures[0], figures[-1] / columns[-1]["asyncio.sleep"][0]]
        rows.append([*row, f"{taken:,.0f}", taken / memory["asyncio.sleep"]])
    headings = ["tasks:", *[f"{number:,}" for number in rounds]]
    headings += ["last / first", "last / sleep", f"bytes at {weighed:,}", "/ sleep"]
    print_table("Tasks that fail once together: µs of CPU for each", headings, rows)


def main() -> None:
    quick = wants_quick(__doc__)
    print_head(__doc__, "stamina", "tenacity", "backoff")
    logging.disable()
    if stamina is not None:
        stamina.instrumentation.set_on_retry_hooks([])
    times, rounds = (20, 2) if quick else (200, 60)
    compare_calls(times, rounds)
    compare(
        "for attempt in x: with attempt: pass",
        {
            name: in_a_thread(partial(enter_and_leave, it), times)
            for name, it in blocks().items()
        },
        rounds,
    )
    if quick:
        compare_crowds({10: 1, 100: 1}, weighed=100)
    else:
        compare_crowds({1_000: 10, 10_000: 3, 100_000: 1}, weighed=10_000)


if __name__ == "__main__":
    main()
