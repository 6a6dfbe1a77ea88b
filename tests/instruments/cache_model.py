"""A cache in plain words: the model that its histories are held to.

Nothing is evicted and nothing expires. Who makes a call is its first argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

_WAITS: Final = {"compute", "fail", "stop"}


class Role(NamedTuple):
    """What a client does that has asked for a key.

    Attributes:
        leads: Whether it computes.
        flight: What it computes or waits for; None if the value was there.
        value: The value that was there.
    """

    leads: bool
    flight: int | None
    value: object = None


class Book(NamedTuple):
    """The state of the model.

    Attributes:
        values: What is held, by key.
        flights: Which computation may still be stored, by key.
        outcomes: What each computation that has ended came to.
        roles: What each client does that has asked.
        begun: How many computations were begun.
    """

    values: tuple[tuple[str, object], ...] = ()
    flights: tuple[tuple[str, int], ...] = ()
    outcomes: tuple[tuple[int, object], ...] = ()
    roles: tuple[tuple[int, Role], ...] = ()
    begun: int = 0


Done = list[tuple[object, Book]]
_Pairs = tuple[tuple[Any, Any], ...]


@final
class CacheModel:
    """A dict, and what is being computed for it.

    Who asks gets what is there, waits for what is being computed, or computes. What is
    computed goes to all who wait for it; it is stored if nobody has set or removed the
    key meanwhile. Errors go to them as well; of those who wait for one that was
    interrupted, one asks anew.
    """

    start = Book()

    def steps(self, name: str) -> Sequence[str]:
        return ("ask", "wait", name) if name in _WAITS else (name,)

    def step(self, state: Book, name: str, args: tuple[Any, ...]) -> Done:
        done: Done = getattr(self, f"_{name}")(state, *args)
        return done

    def _get(self, book: Book, who: int, key: str) -> Done:
        return [(dict(book.values).get(key), book)]

    def _set(self, book: Book, who: int, key: str, value: object) -> Done:
        values = _with(book.values, key, value)
        flights = _without(book.flights, key)
        return [(None, book._replace(values=values, flights=flights))]

    def _invalidate(self, book: Book, who: int, key: str) -> Done:
        values, flights = _without(book.values, key), _without(book.flights, key)
        count = len(book.values) - len(values)
        return [(count, book._replace(values=values, flights=flights))]

    def _clear(self, book: Book, who: int) -> Done:
        return [(None, book._replace(values=(), flights=()))]

    def _ask(self, book: Book, who: int, key: str, *_: object) -> Done:
        values, flights = dict(book.values), dict(book.flights)
        if key in values:
            return [(None, _acting(book, who, Role(False, None, values[key])))]
        if key in flights:
            return [(None, _acting(book, who, Role(False, flights[key])))]
        number = book.begun
        begun = book._replace(
            begun=number + 1, flights=_with(book.flights, key, number)
        )
        return [(None, _acting(begun, who, Role(True, number)))]

    def _wait(self, book: Book, who: int, key: str, *_: object) -> Done:
        role, outcomes = dict(book.roles)[who], dict(book.outcomes)
        if role.leads or role.flight is None:
            return [(None, book)]
        if role.flight not in outcomes:
            return []
        if outcomes[role.flight] == "stopped":
            return self._ask(book, who, key)
        there = Role(False, None, outcomes[role.flight])
        return [(None, _acting(book, who, there))]

    def _compute(self, book: Book, who: int, key: str, value: object) -> Done:
        return self._end(book, who, key, value, stored=True)

    def _fail(self, book: Book, who: int, key: str, value: object) -> Done:
        return self._end(book, who, key, value, stored=False)

    def _stop(self, book: Book, who: int, key: str, value: object) -> Done:
        return self._end(book, who, key, "stopped", stored=False)

    def _end(
        self, book: Book, who: int, key: str, value: object, *, stored: bool
    ) -> Done:
        role = dict(book.roles)[who]
        book = book._replace(roles=_without(book.roles, who))
        if role.flight is None:
            return [(role.value, book)]
        if (
            not role.leads
        ):  # it waits for one that was begun after the first was stopped
            outcomes = dict(book.outcomes)
            there = outcomes.get(role.flight)
            return [] if there is None else [(there, book)]
        if (key, role.flight) in book.flights:
            book = book._replace(flights=_without(book.flights, key))
            if stored:
                book = book._replace(values=_with(book.values, key, value))
        outcomes = _with(book.outcomes, role.flight, value)
        return [(value, book._replace(outcomes=outcomes))]


def _with(pairs: _Pairs, key: object, value: object) -> _Pairs:
    return (*_without(pairs, key), (key, value))


def _without(pairs: _Pairs, key: object) -> _Pairs:
    return tuple(pair for pair in pairs if pair[0] != key)


def _acting(book: Book, who: int, role: Role) -> Book:
    return book._replace(roles=_with(book.roles, who, role))
