"""The second part: calls that use tokens, and a server that asks for a pause.

How many tokens a call uses is known only when it is answered. So a client asks its
limiter for the most that it may be, and corrects that afterwards. A call that is
refused has used nothing; its client pauses the limiter, for everybody, as long as the
server asks, and makes the call again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import cycle
from math import ceil, inf
from typing import Final, NamedTuple

from .._limits.limiter import RateLimiter
from .._limits.permit import Permit
from .._runtime import clock
from .clients import task_client, thread_client
from .crew import Crew, Work, see_through
from .heads import Reply
from .plan import TokenPlan
from .server import NOT_OURS, OK, TOO_MANY_REQUESTS, serving
from .traffic import CLIENTS_PER_WORLD, THREADS, Log
from .verdict import Span, Tally

OVERLOAD_S = 1.0

_MOST_TOKENS: Final = (100, 220, 140, 300, 180)
_PER_CENT_USED: Final = (40, 90, 60, 100)


class TokenLedger:
    """What arrived when, what it used, and a second in which all is refused.

    Args:
        overloaded_at: Which arrival, counted from 1, finds the server overloaded.
    """

    def __init__(self, *, overloaded_at: int) -> None:
        self.arrivals: list[float] = []
        self.used: list[int] = []  # by each arrival
        self.refused = 0
        self._overloaded_at = overloaded_at
        self._overloaded_until = -inf
        self._per_cent = cycle(_PER_CENT_USED)

    def arrive(self, at: float, fields: Mapping[str, str]) -> Reply:
        """Note an arrival at the time *at*, and return what to answer."""
        most = fields.get("max-tokens", "")
        if not most.isdecimal():
            return NOT_OURS
        self.arrivals.append(at)
        if len(self.arrivals) == self._overloaded_at:
            self._overloaded_until = at + OVERLOAD_S
        if at < self._overloaded_until:
            self.refused += 1
            self.used.append(0)
            wait = ceil(round(self._overloaded_until - at, 6))  # 1.0000000001 is 1
            return Reply(TOO_MANY_REQUESTS, {"Retry-After": str(wait)})
        self.used.append(int(most) * next(self._per_cent) // 100)
        return Reply(OK, {"Tokens-Used": str(self.used[-1])})


class TokenLog(Log):
    """What one client did, and what it tells the limiter."""

    def __init__(self, work: Work, limiter: RateLimiter) -> None:
        super().__init__(work)
        self.estimated = self.used = 0  # of the calls that were not refused
        self.pauses: list[Span] = []  # in which surely nobody is let in
        self._limiter = limiter
        self._mosts = cycle(_MOST_TOKENS)
        self._most = next(self._mosts)

    @property
    def cost(self) -> Mapping[str, float]:
        """The most that the call may use."""
        return {"tokens": self._most}

    @property
    def fields(self) -> Mapping[str, str]:
        """What the server is told of the call."""
        return {"Max-Tokens": str(self._most)}

    def settle(self, permit: Permit, reply: Reply) -> None:
        """Tell the limiter what the call came to, and note it."""
        self.answer(reply.status)
        if reply.status == TOO_MANY_REQUESTS:
            self._pause(float(reply.fields["retry-after"]))
            permit.refund()  # after the pause, or others would go on with it
            self._note(0)
            self._work.put_back()
            return
        used = int(reply.fields["tokens-used"])
        permit.adjust({"tokens": used})
        self._note(used)
        self.estimated += self._most
        self.used += used
        self._most = next(self._mosts)

    def _pause(self, seconds: float) -> None:
        before = clock.monotonic()
        self._limiter.pause(seconds)
        self.pauses.append((clock.monotonic(), before + seconds))

    def _note(self, used: int) -> None:
        self.grants[-1] = self.grants[-1]._replace(amount=float(used))


class TokenOutcome(NamedTuple):
    """What came of the run."""

    name: str
    work: Work
    ledger: TokenLedger
    logs: Mapping[str, list[TokenLog]]  # by world

    @property
    def all_logs(self) -> list[TokenLog]:
        """What each client did."""
        return [log for world in self.logs.values() for log in world]

    @property
    def tally(self) -> Tally:
        """The counts of both sides; each refused call was planned once more."""
        told_no = sum(log.told_no for log in self.all_logs)
        return Tally(
            planned=self.work.calls + told_no,
            answered=sum(log.answered for log in self.all_logs),
            arrived=len(self.ledger.arrivals),
            told_no=told_no,
            refused=self.ledger.refused,
        )


def run_tokens(
    limiter: RateLimiter,
    plan: TokenPlan,
    loops: Iterable[str],
    *,
    seconds: float,
    port: int,
    look: Callable[[TokenOutcome], object],
) -> TokenOutcome:
    """Make the calls of *plan* through *limiter*, and say what came of it.

    Args:
        limiter: What the calls go through.
        plan: How many calls, and when the server is overloaded.
        loops: Which event loops there are beside threads.
        seconds: How long it should take. Soon afterwards no more calls are begun.
        port: Where the server listens; 0 for any free port.
        look: Called many times a second with what is known so far. What it raises ends
            the run, and everything that belongs to it.

    Returns:
        What is known when all clients are done.
    """
    work = Work(plan.calls)
    ledger = TokenLedger(overloaded_at=plan.overloaded_at)
    logs = {
        world: [TokenLog(work, limiter) for _ in range(CLIENTS_PER_WORLD)]
        for world in (THREADS, *loops)
    }
    outcome = TokenOutcome("tokens", work, ledger, logs)
    with serving(ledger, port=port) as opened:
        in_thread = partial(_call_in_thread, limiter, opened)
        in_task = partial(_call_in_task, limiter, opened)
        crew = Crew(
            [partial(in_thread, log) for log in logs[THREADS]],
            {loop: [partial(in_task, log) for log in logs[loop]] for loop in loops},
        )
        see_through(crew, work, look=lambda: look(outcome), seconds=seconds)
    return outcome


def _call_in_thread(limiter: RateLimiter, port: int, log: TokenLog) -> None:
    with thread_client(port) as client:
        while log.ask():
            with limiter.permit(log.cost) as permit:
                log.enter(permit)
                log.settle(permit, client.get(log.fields))


async def _call_in_task(limiter: RateLimiter, port: int, log: TokenLog) -> None:
    async with task_client(port) as client:
        while log.ask():
            async with limiter.permit(log.cost) as permit:
                log.enter(permit)
                log.settle(permit, await client.get(log.fields))
