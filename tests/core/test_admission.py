"""Admission decides at once over rates, places and the queue; time is an argument."""

from __future__ import annotations

from collections import deque
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from admission_model import TOLERANCE, TokenBucket, excess, most_in_a_window
from concutil import Rate
from concutil._core.admission import Admission
from concutil._core.cost import ONE
from concutil._core.rates import most_at_once
from concutil._core.ticket import GONE, GRANTED, NEW, QUEUED, Ticket

# Multiples of 1/8 are exact as floats, so that models agree to the last bit.
steps = st.integers(0, 40).map(lambda n: n / 8)
costs = st.integers(1, 16).map(lambda n: n / 8)
slacks = st.sampled_from([0.0, 0.125, 1.0, 3.0])
paced = st.builds(
    Rate,
    st.sampled_from([1, 2, 4, 0.5]),
    st.sampled_from([1, 2]),
    burst=st.sampled_from([1, 2, 2.5, 5]),
)
exact = st.builds(
    Rate, st.sampled_from([1, 2, 2.5]), st.sampled_from([1, 2]), exact=st.just(True)
)


def kept(cost: float = 1.0, until: float = inf) -> Ticket:
    """Return a ticket that its holder keeps as an object, as a Permit does."""
    return Ticket({"calls": cost}, until, kept=True)


def advance(admission: Admission, now: float) -> list[Ticket]:
    """Let the queue move up, and return whom to wake."""
    woken: deque[Ticket] = deque()
    admission.advance(now, woken)
    return list(woken)


def queued(
    admission: Admission, now: float, line: str = "a", **options: float
) -> Ticket:
    """Return a ticket that was entered, with the queue moved up."""
    ticket = kept(**options)
    ticket.line = line
    ticket.since = now
    admission.enter(ticket, now)
    advance(admission, now)
    return ticket


@given(
    kinds=st.lists(paced, min_size=2, max_size=3),
    slack=slacks,
    program=st.lists(steps, min_size=5),
)
def test_several_rates_are_taken_all_or_nothing(
    kinds: list[Rate], slack: float, program: list[float]
) -> None:
    """A cost is granted if and only if all rates admit it, and then taken of all."""
    admission = Admission.of(kinds, None, slack)
    buckets = [TokenBucket(rate, slack) for rate in kinds]
    now = 0.0
    for step in program:
        now += step / 4
        expected = False not in [bucket.admits(1, now) for bucket in buckets]

        assert admission.book_one(now) == expected
        for bucket in buckets if expected else []:
            bucket.take(1, now)


def test_the_bound_is_reached() -> None:
    """The bound is tight: burst + rate * slack calls start at once after idling."""
    admission = Admission.of([Rate(4, burst=3)], None, slack=0.5)
    admission.book_one(0.0)

    assert [admission.book_one(10.0) for _ in range(6)] == [True] * 5 + [False]


def test_time_never_runs_backwards() -> None:
    """A stale or backward time mints nothing: it counts as the latest one seen."""
    admission = Admission.of([Rate(1, burst=2)], None, slack=0.0)

    assert admission.book_one(100.0)
    assert admission.book_one(0.0), "there was one left at 100"
    assert not any(admission.book_one(now) for now in (100.0, 50.0, 0.0, 100.9))
    assert admission.book_one(101.0)


def test_a_stale_grant_does_not_hide_a_later_one() -> None:
    """What a grant took is not given back if a later time has used it already."""
    admission = Admission.of([Rate(1, burst=10)], None, slack=0.0)
    first = kept()
    admission.book(first, 0.0)
    assert admission.book_one(100.0)
    assert admission.book_one(95.0)
    due = admission.due(ONE)
    admission.undo(first)

    assert admission.due(ONE) == due


def test_who_asks_later_than_its_change_is_applied_waited_from_its_own_time() -> None:
    """A change may be applied with an older time than the asker's: it counts less."""
    admission = Admission.of([], 1, slack=0.0)
    holder, ticket = kept(), kept(until=5.5)
    admission.book(holder, 0.0)
    ticket.since = 5.0
    admission.enter(ticket, 4.0)
    admission.release(holder)
    advance(admission, 4.5)

    assert (ticket.state, ticket.waited) == (GRANTED, 0.0)


def test_rounding_of_time_refuses_nobody() -> None:
    """Ten steps of 0.1 s are one second."""
    admission = Admission.of([Rate(1)], None, slack=0.0)
    assert admission.book_one(0.0)

    assert admission.book_one(sum([0.1] * 10))


def test_places_are_handed_on_in_order_of_arrival() -> None:
    """Who leaves lets the first of the queue in, whatever line it stands in."""
    admission = Admission.of([], 1, slack=0.0)
    holder = kept()
    assert admission.book(holder, 0.0)
    waiting = [queued(admission, 0.0, line) for line in "abab"]
    assert not admission.book(kept(), 0.0)

    order = []
    for leaver in (holder, *waiting[:3]):
        admission.release(leaver)
        order += advance(admission, 1.0)

    assert order == waiting
    assert [ticket.waited for ticket in waiting] == [1.0] * 4
    assert (admission.running, admission.waiting, admission.booked) == (1, 0, 5)


def test_all_who_can_be_let_in_are_let_in_at_once() -> None:
    """One look at the queue is enough, however many places have come free."""
    admission = Admission.of([], 2, slack=0.0)
    holders = [kept(), kept()]
    for holder in holders:
        admission.book(holder, 0.0)
    waiting = [queued(admission, 0.0) for _ in range(3)]
    for holder in holders:
        admission.release(holder)

    assert advance(admission, 1.0) == waiting[:2]


def test_a_big_cost_is_not_overtaken() -> None:
    """A small cost behind a big one waits, though it could be admitted alone."""
    admission = Admission.of([Rate(1, burst=4)], None, slack=0.0)
    admission.book(kept(4), 0.0)
    big, small = queued(admission, 0.0, cost=4), queued(admission, 0.0, cost=0.5)

    states = []
    for now in (3.0, 4.0, 4.5):
        advance(admission, now)
        states.append((big.state, small.state))
    assert states == [(QUEUED, QUEUED), (GRANTED, QUEUED), (GRANTED, GRANTED)]


def test_every_line_has_an_alarm_when_only_time_is_missing() -> None:
    """The first of each line looks again when the head is due; the others don't."""
    admission = Admission.of([Rate(1)], None, slack=0.0)
    admission.book_one(0.0)
    tickets = [queued(admission, 0.0, line) for line in "aabb"]

    assert [ticket.alarm for ticket in tickets] == [
        pytest.approx(1.0),
        inf,
        pytest.approx(1.0),
        inf,
    ]


def test_a_release_sets_the_alarm_that_a_full_limiter_had_not() -> None:
    """Who waited for a place is woken to look again once only time is missing."""
    admission = Admission.of([Rate(0.2)], 1, slack=0.0)
    assert admission.book_one(0.0)
    waiting = queued(admission, 0.0)
    assert waiting.alarm == inf

    admission.leave_block()

    assert advance(admission, 0.02) == [waiting]
    assert (waiting.state, waiting.alarm) == (QUEUED, pytest.approx(5.0))


def test_a_patience_that_the_rates_exceed_is_refused_at_once() -> None:
    """The wait behind the whole queue decides; nothing is queued or booked."""
    admission = Admission.of([Rate(1)], None, slack=0.0)
    admission.book_one(0.0)
    queued(admission, 0.0)

    late, patient = kept(until=1.9), kept(until=2.0)
    admission.enter(late, 0.0)
    admission.enter(patient, 0.0)

    assert (late.state, late.retry_after) == (GONE, pytest.approx(2.0))
    assert patient.state == QUEUED
    assert admission.waiting == 2


def test_only_who_still_waits_is_waited_behind() -> None:
    """Who has left the queue makes nobody's wait look longer."""
    admission = Admission.of([Rate(1)], None, slack=0.0)
    admission.book_one(0.0)
    first, _ = queued(admission, 0.0), queued(admission, 0.0)
    admission.undo(first)
    patient = kept(until=2.0)
    admission.enter(patient, 0.0)

    assert patient.state == QUEUED


def test_a_late_place_ends_the_patience_without_a_rate_to_wait_for() -> None:
    """When only the place was late, the same request needn't wait for the rates."""
    admission = Admission.of([Rate(1)], 1, slack=0.0)
    admission.book_one(0.0)
    ticket = queued(admission, 0.0, until=3.0)
    assert ticket.state == QUEUED

    admission.expire(ticket, 3.0)

    assert (ticket.state, ticket.retry_after) == (GONE, 0.0)
    assert (admission.waiting, admission.cancelled) == (0, 0)


def test_without_patience_what_is_due_by_now_is_granted() -> None:
    """Time that passed since somebody asked in vain is not held against them."""
    admission = Admission.of([Rate(1)], None, slack=0.0)
    admission.book_one(0.0)
    ticket = kept(until=0.999)
    assert not admission.book(ticket, 0.999)
    admission.enter(ticket, 1.0)
    advance(admission, 1.0)

    assert ticket.state == GRANTED


def test_expiring_after_the_grant_changes_nothing() -> None:
    """Who was granted in the instant in which its patience ended keeps it."""
    admission = Admission.of([], 1, slack=0.0)
    holder = kept()
    admission.book(holder, 0.0)
    ticket = queued(admission, 0.0, until=1.0)
    admission.release(holder)
    advance(admission, 1.0)
    admission.expire(ticket, 1.0)

    assert ticket.state == GRANTED


@pytest.mark.parametrize("slack", [0.0, 0.5])
def test_undoing_the_latest_grant_leaves_no_trace(slack: float) -> None:
    """The next cost is due when it would have been without the one undone."""
    admission = Admission.of([Rate(1, burst=2)], 2, slack)
    admission.book_one(0.0)
    before = admission.due(ONE)
    ticket = kept()
    admission.book(ticket, 0.0)
    admission.undo(ticket)

    assert admission.due(ONE) == pytest.approx(before)
    assert (admission.booked, admission.running, admission.cancelled) == (1, 1, 1)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_undoing_all_of_a_burst_leaves_no_trace(order: tuple[int, ...]) -> None:
    """Grants of one moment are given back whole, in the order of a queue or back."""
    admission = Admission.of([Rate(1, burst=4)], None, slack=0.0)
    admission.book_one(0.0)
    before = admission.due(ONE)
    tickets = [kept() for _ in order]
    for ticket in tickets:
        admission.book(ticket, 0.0)
    for index in order:
        admission.undo(tickets[index])

    extra = order not in {(0, 1, 2), (2, 1, 0)}
    assert before <= admission.due(ONE) + TOLERANCE
    assert admission.due(ONE) <= before + extra + TOLERANCE


def test_undoing_moves_up_everyone_behind_exactly() -> None:
    """A cancelled waiter leaves no hole: who was behind is due that much earlier."""
    admission = Admission.of([Rate(5)], None, slack=0.0)
    admission.book_one(0.0)
    waiting = [queued(admission, 0.0) for _ in range(5)]
    for ticket in waiting[:2]:
        admission.undo(ticket)

    due = []
    for ticket in waiting[2:]:
        advance(admission, 0.0)
        due.append(ticket.alarm)
        advance(admission, ticket.alarm)
    assert due == [pytest.approx(0.2), pytest.approx(0.4), pytest.approx(0.6)]


def test_undo_and_release_are_idempotent() -> None:
    """A place is given back once, however often and in whatever order."""
    admission = Admission.of([Rate(1)], 2, slack=0.0)
    first, second = kept(), queued(admission, 5.0)
    admission.book(first, 0.0)
    for ticket in (first, second) * 2:
        admission.release(ticket)
        admission.undo(ticket)

    assert (admission.running, admission.cancelled) == (0, 0)


@pytest.mark.parametrize("end", ["release", "undo"])
def test_a_block_is_left_whatever_permits_did_before(end: str) -> None:
    """A permit that is gone is not taken for one that is still inside."""
    admission = Admission.of([], 2, slack=0.0)
    permit = kept()
    admission.book(permit, 0.0)
    getattr(admission, end)(permit)
    assert admission.book_one(0.0)
    admission.leave_block()

    assert admission.running == 0


def test_who_is_undone_after_the_grant_has_not_waited() -> None:
    """The time that all have waited is that of those who were let in and stayed."""
    admission = Admission.of([], 1, slack=0.0)
    holder = kept()
    admission.book(holder, 0.0)
    ticket = queued(admission, 0.0)
    admission.release(holder)
    advance(admission, 5.0)
    assert admission.waited_total == 5.0
    admission.undo(ticket)

    assert admission.counts == (1, 1, 0.0)


def test_a_child_process_starts_with_nobody_inside() -> None:
    """After a fork the rates go on; places are free, and old holders free nothing."""
    parent = Admission.of([Rate(1, burst=9)], 2, slack=0.0)
    before = [kept(), kept()]
    for ticket in before:
        parent.book(ticket, 0.0)
    late = queued(parent, 0.0)
    child = parent.in_child()
    assert (child.running, child.waiting, child.due(ONE)) == (0, 0, parent.due(ONE))

    inside = kept()
    child.book(inside, 0.0)
    child.leave_block()  # a block that the parent had entered
    for ticket in (*before, late):
        child.release(ticket)
        child.undo(ticket)
        child.expire(ticket, 9.0)

    assert (child.running, child.cancelled) == (1, 0)


def test_whom_a_change_turns_away_is_told_once() -> None:
    """Later changes have nothing to do with who is gone."""
    admission = Admission.of([Rate(1, burst=5)], None, slack=0.0)
    admission.book(kept(5), 0.0)
    ticket = queued(admission, 0.0, cost=4)
    admission.change([Rate(1, burst=2)], 0.0)

    assert advance(admission, 0.0) == [ticket]
    assert (ticket.state, ticket.retry_after) == (GONE, inf)
    assert (admission.waiting, advance(admission, 0.0)) == (0, [])


class AdmissionMachine(RuleBasedStateMachine):
    """Any program of calls keeps order, places, bounds and alarms."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue: list[Ticket] = []
        self.inside: set[Ticket] = set()
        self.blocks = 0
        self.grants: list[tuple[float, float, Ticket | None]] = []
        self.rates: list[Rate] = []
        self.slack = 0.0
        self.limit: int | None = None
        self.admission = Admission.of([], None, 0.0)

    @initialize(
        rates=st.lists(paced | exact, max_size=2),
        limit=st.sampled_from([None, 1, 2]),
        slack=slacks,
    )
    def make(self, rates: list[Rate], limit: int | None, slack: float) -> None:
        self.rates, self.limit, self.slack = rates, limit, slack
        self.admission = Admission.of(rates, limit, slack)

    def cost_within(self, cost: float) -> float:
        return min([cost, *map(most_at_once, self.rates)])

    def note(self, ticket: Ticket | None, cost: float) -> None:
        self.grants.append((self.now, cost, ticket))
        if ticket is None:
            self.blocks += 1
        else:
            self.inside.add(ticket)

    @rule(step=steps)
    def wait(self, step: float) -> None:
        self.now += step
        self.move_up()

    @rule(target=tickets, cost=costs, line=st.sampled_from("abc"))
    def enter(self, cost: float, line: str) -> Ticket:
        ticket = kept(self.cost_within(cost))
        ticket.line = line
        self.admission.enter(ticket, self.now)
        self.queue.append(ticket)
        self.move_up()
        return ticket

    @rule(target=tickets, cost=costs)
    def take(self, cost: float) -> object:
        ticket = kept(self.cost_within(cost))
        if not self.admission.book(ticket, self.now):
            assert ticket.state == NEW
            return multiple()
        assert not self.queue
        self.note(ticket, ticket.cost["calls"])
        return ticket

    @rule()
    def enter_block(self) -> None:
        if not self.admission.lines and self.admission.book_one(self.now):
            self.note(None, 1.0)

    @precondition(lambda self: self.blocks)
    @rule()
    def leave_block(self) -> None:
        self.blocks -= 1
        self.admission.leave_block()
        self.move_up()

    @rule(ticket=tickets)
    def release(self, ticket: Ticket) -> None:
        if ticket.state != QUEUED:
            self.admission.release(ticket)
            self.inside.discard(ticket)
            self.move_up()

    @rule(ticket=tickets)
    def undo(self, ticket: Ticket) -> None:
        if ticket.state in {QUEUED, GRANTED}:
            self.grants = [grant for grant in self.grants if grant[2] is not ticket]
        self.admission.undo(ticket)
        self.queue = [other for other in self.queue if other is not ticket]
        self.inside.discard(ticket)
        self.move_up()

    def move_up(self) -> None:
        woken = advance(self.admission, self.now)
        granted = [ticket for ticket in woken if ticket.state == GRANTED]
        assert granted == self.queue[: len(granted)], "out of order"
        del self.queue[: len(granted)]
        for ticket in granted:
            self.note(ticket, ticket.cost["calls"])

    @invariant()
    def counts_are_right(self) -> None:
        running = len(self.inside) + self.blocks
        assert self.admission.waiting == len(self.queue)
        if self.limit is not None:
            assert self.admission.running == running <= self.limit

    @invariant()
    def bounds_hold(self) -> None:
        grants = [(time, cost) for time, cost, _ in self.grants]
        for rate in self.rates:
            if rate.exact:
                assert most_in_a_window(grants, rate.per) <= rate.limit + TOLERANCE
            else:
                assert excess(grants, rate, self.slack) <= TOLERANCE

    @invariant()
    def nobody_waits_without_need(self) -> None:
        if not self.queue:
            return
        head = self.queue[0]
        full = self.limit is not None and self.admission.running >= self.limit
        due = self.admission.due(head.cost)
        assert full or due > self.now
        firsts: dict[object, Ticket] = {}
        for ticket in self.queue:
            firsts.setdefault(ticket.line, ticket)
        for ticket in firsts.values() if not full else ():
            assert ticket.alarm <= due, "nobody in this line would look again in time"


TestAdmission = AdmissionMachine.TestCase
