"""One call under a policy: what happened to it so far, and what comes next."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from math import inf
from typing import Final, TypeVar, final

from .._core.backoff import Verdict
from .._errors import RateLimitExceeded
from .._limits.permit import Permit
from .._runtime.events import LoopBlocked, emit
from .._runtime.on_threads import THREADS
from .._runtime.rest import rest
from .._runtime.scopes import Cut
from .._runtime.waiters import World, run, running_world, runs_a_loop
from .budget import Retried
from .history import History
from .matching import verdict
from .policy import Use

T = TypeVar("T")


@final
class Call:
    """One call, from its first attempt to its end; no more than a success needs.

    While it goes on, whatever is called in its context knows of it, so that no policy
    in there goes on beyond this one's deadline.

    Args:
        use: What is called under which policy.

    Attributes:
        begun: When it began, by the clock of the policy.
        outer: The call around it, if there is one.
        over: Whether what is called no longer belongs to it; who was started by it may
            still know of it.
        course: What happened in it, once that is more than a success at once.
    """

    __slots__ = ("begun", "course", "outer", "over", "use")

    def __init__(self, use: Use) -> None:
        # Nobody takes back what was published, which costs as much as publishing: the
        # newest call of this context may be over, and those around it as well.
        outer = _newest.get()
        while outer is not None and outer.over:
            outer = outer.outer
        self.outer: Call | None = outer
        self.use: Use = use
        self.over: bool = False
        policy = use.policy
        self.begun: float = policy.now()
        if policy.account is not None:
            policy.account.request(self.begun)
        self.course: Course | None = None if policy.plain else Course(self)
        _newest.set(self)

    def open_course(self) -> Course:
        """Return what happens in it, which is followed from now on."""
        if self.course is None:
            self.course = Course(self)
        return self.course

    def left(self) -> float:
        """Return the seconds until the deadline, below 0 after it; inf without one."""
        left = inf
        call: Call | None = self
        while call is not None:
            if call is self or not call.over:
                policy = call.use.policy
                left = min(left, call.begun + policy.timeout - policy.now())
            call = call.outer
        return left

    @property
    def endless(self) -> bool:
        """Whether nothing limits its attempts."""
        return self.use.policy.endless and self.outer is None

    async def in_time(self, attempt: Awaitable[T]) -> T:
        """Return what *attempt* gives, if that comes in time.

        Args:
            attempt: What the async function has returned.

        Raises:
            TimeoutError: If it is cancelled, at the end of its time or of the call's.
        """
        with self.cut():
            return await attempt

    def cut(self) -> AbstractContextManager[object]:
        """Return a block that raises `TimeoutError` as soon as the attempt must end."""
        policy, left = self.use.policy, self.left()
        if left == policy.attempt_timeout == inf:
            return nullcontext()
        if policy.attempt_timeout < left:
            return Cut(policy.attempt_timeout, policy.clock, self._late_for_attempt)
        return Cut(left, policy.clock, self._late_for_call)

    # The course is made when it is needed.
    def _late_for_attempt(self) -> TimeoutError:
        return self.open_course().late_for_attempt()

    def _late_for_call(self) -> TimeoutError:
        return self.open_course().late_for_call()

    def go_on(self) -> None:
        """Let what is called in this context know of it again."""
        self.over = False
        _newest.set(self)

    def end(self) -> None:
        """Take in that it has ended, however; call it from a `finally`."""
        self.over = True
        if self.course is not None:
            self.course.leave(sys.exc_info()[0])
            self.course.forgo()
            self.course = None


_newest: Final[ContextVar[Call | None]] = ContextVar("concutil.retry", default=None)


@final
class Course:
    """What happens in a call, once that is more than a success at the first attempt.

    Args:
        call: Which one.

    Attributes:
        history: Its attempts and what they have raised.
    """

    __slots__ = (
        "_call",
        "_cut",
        "_permit",
        "_resume_at",
        "_retried",
        "_wait",
        "history",
    )

    def __init__(self, call: Call) -> None:
        self._call = call
        self.history: History = History(call.use, call.begun)
        self._wait: float | None = None  # drawn when it is asked for
        self._permit: Permit | None = None
        self._retried: Retried | None = None
        self._cut: bool = False  # at the deadline

    def wait(self) -> float:
        """Return how long the backoff is after this attempt, in seconds."""
        if self._wait is None:
            backoff = self._call.use.policy.plan.backoff
            self._wait = backoff.wait(self.history.number, _chance())
        return self._wait

    def admit(self) -> None:
        """Wait in this thread until the limiter lets the attempt start."""
        permit = self._asked()
        try:
            if permit is not None:
                self._permit = permit.wait()
        except BaseException as error:
            self._not_admitted(error)
            raise
        self._retried = None  # it is made

    async def aadmit(self) -> None:  # noqa: HC2 - the other face of one text
        """Wait in this task until the limiter lets the attempt start."""
        permit = self._asked()
        try:
            if permit is not None:
                self._permit = await permit
        except BaseException as error:
            self._not_admitted(error)
            raise
        self._retried = None  # it is made

    def _asked(self) -> Permit | None:
        limiter, left = self._call.use.policy.limiter, self._call.left()
        if limiter is None:
            return None
        return limiter.permit(timeout=None if left == inf else left)

    def _not_admitted(self, error: BaseException) -> None:
        """Raise the last error, if the limiter lets nobody start in time."""
        last = self.history.last
        if last is not None and isinstance(error, RateLimitExceeded):
            self.history.give_up("deadline")
            context = last.__context__
            try:
                raise last
            finally:
                last.__context__ = context  # its own, and not the limiter's error
                del last  # it holds this frame

    def leave(self, kind: type[BaseException] | None = None) -> None:
        """Give back the place that the attempt held, as *kind* has ended it."""
        permit, self._permit = self._permit, None
        if permit is not None:
            permit.__exit__(kind, None, None)

    def forgo(self) -> None:
        """Give back the retry that was taken, unless it was made."""
        self.history.forget()
        account, retried = self._call.use.policy.account, self._retried
        self._retried = None
        if account is not None and retried is not None:
            account.give_back(retried)

    def late_for_attempt(self) -> TimeoutError:
        """Return the error of an attempt that was cut by itself."""
        policy = self._call.use.policy
        seconds = policy.attempt_timeout
        return TimeoutError(
            f"{policy}: attempt {self.history.number} took longer than {seconds:g} s"
        )

    def late_for_call(self) -> TimeoutError:
        """Return the error of an attempt that was cut at the deadline."""
        self._cut = True
        policy = self._call.use.policy
        late = TimeoutError(f"{policy}: attempt {self.history.number} met the deadline")
        late.__cause__ = self.history.last
        return late

    def accepts(self, result: object) -> bool:
        """Whether *result* is to be returned; if not, there is another attempt."""
        judge = self._call.use.policy.judge_result
        if judge is not None:
            judged = verdict("on_result", judge(result))
            if judged is not False:
                return not self._goes_on(judged, None)
        self.leave()
        self.history.succeed()
        return True

    def begun(self) -> None:
        """Take in that a generator has begun: the caller goes on with it."""
        self._call.over = True
        self.history.succeed()

    def retries(self, error: Exception) -> bool:
        """Whether *error* leads to another attempt; if not, it is to be raised."""
        if self._cut:  # *error* is our own
            return self._goes_on(True, error)
        return self._goes_on(self._call.use.policy.judge(error), error)

    def _goes_on(self, judged: Verdict, error: Exception | None) -> bool:
        call, policy = self._call, self._call.use.policy
        self.history.add(error)
        if judged and judged is not True and policy.limiter is not None:
            policy.limiter.pause(judged)
        self.leave()  # not before: who waits behind would slip in before the pause
        left = -inf if self._cut else call.left()
        decision = policy.plan.decide(
            judged, self.history.number, wait=self.wait(), left=left, draw=_chance()
        )
        now = policy.now()
        if not isinstance(decision, str) and policy.account is not None:
            self._retried = policy.account.take(now)
            if self._retried is None:
                decision = "budget"
        if isinstance(decision, str):
            self.history.give_up(decision)
            return False
        self._resume_at: float = now + decision
        outer = call.outer  # which may be over, if it has started a task
        around = None if outer is None or outer.over else outer.use.policy
        self.history.tell_scheduled(decision, around)
        return True

    def rest(self) -> None:
        """Block this thread until the next attempt."""
        policy = self._call.use.policy
        waits = self._resume_at > policy.now()
        if waits and not policy.told_of_loop and runs_a_loop():
            policy.told_of_loop = True
            emit(LoopBlocked(limiter=None, policy=policy.name))
        run(self._rest(THREADS))

    async def arest(self) -> None:
        """Suspend this task until the next attempt."""
        await self._rest(running_world())

    async def _rest(self, world: World) -> None:
        policy = self._call.use.policy
        try:
            await rest(world, self._resume_at, policy.clock)
        except BaseException:
            self.forgo()
            raise
        self._wait = None
        self.history.number += 1


def _chance() -> Callable[[], float]:
    """Return the source of chance; it is seeded anew after a fork."""
    from random import random

    return random  # noqa: S311 - no secret
