"""Who may start, in plain words: the model that the limiter's histories are held to.

Time moves by `advance` alone, in steps that floats hold exactly, so results are
compared exactly. Who makes a call is its first argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final, NamedTuple, final

from admission_model import TokenBucket
from concutil import Rate

STEP_S: Final = 0.5
CLIENTS: Final = 3
FIRST: Final = Rate(1, burst=3)
RATES: Final = {"slow": FIRST, "fast": Rate(2, burst=3)}
PLACES: Final = 2
_TIMELESS: Final = {"advance", "give", "leave", "drop", "resize"}


@final
class Grant(NamedTuple):
    """What was let in: when, at what cost, and for whom (the n-th of each client)."""

    time: float
    cost: float
    who: int
    n: int


@final
class Change(NamedTuple):
    """A rate that took the place of the one before."""

    time: float
    rate: Rate


@final
class Book(NamedTuple):
    """The state of the model.

    Attributes:
        clock: What the clock shows.
        looks: What it showed when a client looked at it, that is before its turn.
        last: The latest time that was used; none before it is used any more.
        queue: Who waits, and for what, in order of arrival; None is a block.
        inside: How many places are taken.
        places: How many there are.
        story: All grants, without those that were refunded, and all changes of rate.
        hold: The end of all pauses.
        counts: How many permits each client has had.
        held: Which of them each client holds.
        blocks: In how many blocks each client is.
    """

    clock: float = 0.0
    looks: tuple[float, ...] = (0.0,) * CLIENTS
    last: float = -inf
    queue: tuple[tuple[int, float | None], ...] = ()
    inside: int = 0
    places: int = PLACES
    story: tuple[Grant | Change, ...] = ()
    hold: float = -inf
    counts: tuple[int, ...] = (0,) * CLIENTS
    held: tuple[tuple[int, ...], ...] = ((),) * CLIENTS
    blocks: tuple[int, ...] = (0,) * CLIENTS


Done = list[tuple[object, Book]]


@final
class AdmissionModel:
    """Who may start, in plain words: a bucket of tokens, places, and one queue.

    A refund leaves what there would be without the grant. The clock is read before
    the lock is taken: a decision is as of some time in its call, but never as of one
    before the latest that was used. Who waits may be let in a little late.
    """

    start = Book()

    def steps(self, name: str) -> Sequence[str]:
        if name in {"take", "enter"}:
            return ("look", "ask", "grant")
        return (name,) if name in _TIMELESS else ("look", name)

    def step(self, state: Book, name: str, args: tuple[Any, ...]) -> Done:
        done: Done = getattr(self, f"_{name}")(state, *args)
        return done

    def _advance(self, book: Book, seconds: float) -> Done:
        return [(None, book._replace(clock=book.clock + seconds))]

    def _look(self, book: Book, who: int, *_: object) -> Done:
        return [(None, book._replace(looks=_with(book.looks, who, book.clock)))]

    def _ask(self, book: Book, who: int, cost: float | None = None) -> Done:
        at_once = None if book.queue else _booked(book, who, cost, book.looks[who])
        queued = book._replace(queue=(*book.queue, (who, cost)))
        return [(None, it) for it in (at_once, queued) if it is not None]

    def _grant(self, book: Book, who: int, cost: float | None = None) -> Done:
        if (who, cost) not in book.queue:
            return [(None, _looked(book, who))]
        if book.queue[0] != (who, cost):
            return []
        # As of any time since it has asked.
        head, seen = book._replace(queue=book.queue[1:]), book.looks[who]
        times = [
            seen + i * STEP_S for i in range(int((book.clock - seen) / STEP_S) + 1)
        ]
        lets = [_booked(head, who, cost, time) for time in reversed(times)]
        return [(None, it) for it in dict.fromkeys(lets) if it is not None]

    def _attempt(self, book: Book, who: int, cost: float) -> Done:
        after = None if book.queue else _booked(book, who, cost, book.looks[who])
        return [(False, _looked(book, who)) if after is None else (True, after)]

    def _give(self, book: Book, who: int) -> Done:
        held = book.held[who]
        if not held:
            return [(None, book)]
        after = book._replace(held=_with(book.held, who, held[:-1]))
        return [(None, after._replace(inside=book.inside - 1))]

    def _leave(self, book: Book, who: int) -> Done:
        count = book.blocks[who]
        if not count:
            return [(None, book)]
        after = book._replace(blocks=_with(book.blocks, who, count - 1))
        return [(None, after._replace(inside=book.inside - 1))]

    _drop = _leave

    def _refund(self, book: Book, who: int) -> Done:
        held = book.held[who]
        if not held:
            return [(None, book)]
        last = max(book.last, book.looks[who])
        story = tuple(
            it
            for it in book.story
            if isinstance(it, Change) or (it.who, it.n) != (who, held[-1])
        )
        return [(None, _looked(book._replace(story=story, last=last), who))]

    def _pause(self, book: Book, who: int, seconds: float) -> Done:
        until = book.looks[who] + seconds
        return [(None, _looked(book._replace(hold=max(book.hold, until)), who))]

    def _pace(self, book: Book, who: int, rate: str) -> Done:
        now = max(book.last, book.looks[who])
        story = (*book.story, Change(now, RATES[rate]))
        return [(None, _looked(book._replace(story=story, last=now), who))]

    def _resize(self, book: Book, _who: int, places: int) -> Done:
        return [(None, book._replace(places=places))]

    def _stats(self, book: Book, who: int) -> Done:
        next_in = max(0.0, _due(book) - max(book.last, book.looks[who]))
        told = len(book.queue), book.inside, sum(book.counts), next_in
        return [(told, _looked(book, who))]


def _with(values: tuple[Any, ...], index: int, value: object) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _looked(book: Book, who: int) -> Book:
    """Forget what *who* saw on the clock: what is past makes no difference."""
    return book._replace(looks=_with(book.looks, who, 0.0))


def _booked(book: Book, who: int, cost: float | None, at: float) -> Book | None:
    """Let *who* in, as of *at* or the latest time used; None if it must wait."""
    now = max(book.last, at)
    amount = 1.0 if cost is None else cost
    if book.inside >= book.places or now < book.hold:
        return None
    if not _bucket(book.story).admits(amount, now):
        return None
    n = book.counts[who]
    after = _looked(book, who)._replace(
        last=now,
        inside=book.inside + 1,
        story=(*book.story, Grant(now, amount, who, n)),
        counts=_with(book.counts, who, n + 1),
    )
    if cost is None:
        return after._replace(blocks=_with(book.blocks, who, book.blocks[who] + 1))
    return after._replace(held=_with(book.held, who, (*book.held[who], n)))


def _bucket(story: Sequence[Grant | Change]) -> TokenBucket:
    """Return what *story* has left."""
    bucket = TokenBucket(FIRST, 0.0)
    for it in story:
        if isinstance(it, Grant):
            bucket.take(it.cost, it.time)
        else:
            bucket.refill(it.time)
            debt = bucket.size - bucket.tokens
            bucket = TokenBucket(it.rate, 0.0)
            bucket.tokens -= debt
            bucket.at = it.time
    return bucket


def _due(book: Book) -> float:
    bucket = _bucket(book.story)
    if bucket.at is None or bucket.tokens >= 1:
        return book.hold
    return max(book.hold, bucket.at + (1 - bucket.tokens) / bucket.per_second)
