"""One call under a policy: what happened to it so far, and what comes next."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from math import inf
from typing import Final, Literal, final

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
from .policy import NOTHING, Use, chance

Deadline = Literal["ahead", "armed", "met"]


@final
class Call:
    """One call, from its first attempt to its end; no more than a success needs.

    Once it is published, no policy that is used in its context goes on beyond its
    deadline, until it is over.

    Args:
        use: What is called under which policy.

    Attributes:
        begun: When it began, by the clock of the policy.
        course: What happened in it, once that is more than a success at once.
        deadline: Whether attempts are cancelled at its deadline, or one was; then it
            still holds for the calls that had begun inside of it.
        outer: The call around it, if there is one.
        use: What is called under which policy; `NOTHING` if what is called no longer
            belongs to it. Its context keeps the newest call alive, and who was started
            by it may still know of it.
    """

    __slots__ = ("begun", "course", "deadline", "outer", "use")

    def __init__(self, use: Use) -> None:
        # Nobody takes back what was published, which costs as much as publishing: the
        # newest call of this context may be over, and those around it as well.
        outer = _get_newest()
        while outer is not None and outer.use is NOTHING:
            outer = outer.outer
        if outer is not None:
            outer.forget_ended()
        self.outer: Call | None = outer
        self.use: Use = use
        self.deadline: Deadline = "ahead"
        policy = use.policy
        self.begun: float = policy.now()
        if policy.account is not None:
            policy.account.request(self.begun)
        self.course: Course | None = None if policy.plain else Course(self)

    def open_course(self) -> Course:
        """Return what happens in it, which is followed from now on."""
        if self.course is None:
            self.course = Course(self)
        return self.course

    def forget_ended(self) -> None:
        """Forget calls around it that are over, or there would be more and more."""
        call: Call | None = self
        while call is not None:
            outer = call.outer
            while (
                outer is not None and outer.use is NOTHING and outer.deadline != "met"
            ):
                outer = outer.outer
            call.outer = outer
            call = outer

    def left(self) -> float:
        """Return the seconds until the deadline, below 0 after it; inf without one."""
        left, outer = self._own_left(), self.outer
        while outer is not None:
            if outer.deadline == "met" or outer.use is not NOTHING:
                left = min(left, outer._own_left())  # noqa: SLF001 - the same class
            outer = outer.outer
        return left

    def _own_left(self) -> float:
        if self.deadline == "met":
            return -inf
        policy = self.use.policy
        return self.begun + policy.timeout - policy.now()

    @property
    def endless(self) -> bool:
        """Whether nothing limits its attempts."""
        return self.use.policy.endless and self.outer is None

    def cut(self) -> AbstractContextManager[object]:
        """Return a block that raises `TimeoutError` as soon as the attempt must end."""
        policy, left = self.use.policy, self._left_uncut()
        if left == policy.attempt_timeout == inf:
            return nullcontext()
        self.deadline = "armed"
        if policy.attempt_timeout < left:
            return Cut(policy.attempt_timeout, policy.clock, self._late_for_attempt)
        return Cut(left, policy.clock, self._late_for_call)

    def _left_uncut(self) -> float:
        """Return the seconds until a deadline at which nobody else cuts."""
        # A call around this one that cuts itself will cut this one too, unless this is
        # a task of its own, which may still be there when that call has ended well.
        left, outer = self._own_left(), self.outer
        while outer is not None:
            if outer.use is not NOTHING:
                if outer.deadline == "armed":
                    break
                left = min(left, outer._own_left())  # noqa: SLF001 - the same class
            outer = outer.outer
        return left

    def _late_for_attempt(self) -> TimeoutError:
        policy, number = self.use.policy, self.open_course().history.number
        limit = policy.attempt_timeout
        return TimeoutError(f"{policy}: attempt {number} took longer than {limit:g} s")

    def _late_for_call(self) -> TimeoutError:
        self.deadline = "met"
        policy, history = self.use.policy, self.open_course().history
        late = TimeoutError(f"{policy}: attempt {history.number} met the deadline")
        late.__cause__ = history.last
        return late

    def go_on(self) -> None:
        """Let what is called in this context know of it again."""
        self.use = self.open_course().use
        self.deadline = "ahead"
        publish(self)

    def end(self, kind: type[BaseException] | None = None) -> None:
        """Take in that it has ended, by *kind* or by what is being handled, if any."""
        self.use = NOTHING
        if self.course is not None:
            self.course.leave(kind or sys.exc_info()[0])
            self.course.forgo()
            self.course = None


_newest: Final[ContextVar[Call | None]] = ContextVar("concutil.retry", default=None)
_get_newest: Final = _newest.get
publish: Final = _newest.set  # what is called in this context knows of this call then


@final
class Course:
    """What happens in a call, once that is more than a success at the first attempt.

    Args:
        call: Which one.

    Attributes:
        history: Its attempts and what they have raised.
        result: What the last attempt has returned, if that was not good enough.
        use: What is called under which policy.
    """

    __slots__ = (
        "_call",
        "_permit",
        "_resume_at",
        "_retried",
        "_wait",
        "history",
        "result",
        "use",
    )

    def __init__(self, call: Call) -> None:
        self._call = call
        self.use: Use = call.use
        self.history: History = History(call.use, call.begun)
        self._wait: float | None = None  # drawn when it is asked for
        self._permit: Permit | None = None
        self._retried: Retried | None = None
        self.result: object = None

    def wait(self) -> float:
        """Return how long the backoff is after this attempt, in seconds."""
        if self._wait is None:
            backoff = self.use.policy.plan.backoff
            self._wait = backoff.wait(self.history.number, chance)
        return self._wait

    def admit(self) -> bool:
        """Wait in this thread until the limiter lets the attempt start.

        Returns:
            False if it lets nobody start in time, and there is a last result.

        Raises:
            RateLimitExceeded: If there is no last result, and no error either.
        """
        try:
            permit = self._asked()
            if permit is not None:
                self._permit = permit.wait()
        except RateLimitExceeded:
            if self._not_admitted():
                return False
            raise
        self._retried = None  # it is made
        return True

    async def aadmit(self) -> bool:  # noqa: HC2 - the other face of one text
        """Wait in this task until the limiter lets the attempt start.

        Returns:
            False if it lets nobody start in time, and there is a last result.

        Raises:
            RateLimitExceeded: If there is no last result, and no error either.
        """
        try:
            permit = self._asked()
            if permit is not None:
                self._permit = await permit
        except RateLimitExceeded:
            if self._not_admitted():
                return False
            raise
        self._retried = None  # it is made
        return True

    def _asked(self) -> Permit | None:
        limiter = self.use.policy.limiter
        if limiter is None:
            return None
        left = self._call.left()
        return limiter.permit(timeout=None if left == inf else left)

    def _not_admitted(self) -> bool:
        """Give up, and raise the last error; True if there is a last result instead."""
        if self.history.number == 1:
            return False
        last = self.history.last
        self.history.give_up("deadline")
        if last is None:
            return True
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
        account, retried = self.use.policy.account, self._retried
        self._retried = None
        if account is not None and retried is not None:
            account.give_back(retried)

    def accepts(self, result: object) -> bool:
        """Whether *result* is to be returned; if not, there is another attempt."""
        judge = self.use.policy.judge_result
        if judge is not None:
            judged = verdict("on_result", judge(result))
            if judged is not False:
                self.result = result
                return not self._goes_on(judged, None)
        self.leave()
        self.history.succeed()
        return True

    def begun(self) -> None:
        """Take in that a generator has begun: the caller goes on with it."""
        self._call.use = NOTHING
        self.history.succeed()

    def retries(self, error: Exception) -> bool:
        """Whether *error* leads to another attempt; if not, it is to be raised."""
        if self._call.deadline == "met":  # *error* is our own
            return self._goes_on(True, error)
        return self._goes_on(self.use.policy.judge(error), error)

    def _goes_on(self, judged: Verdict, error: Exception | None) -> bool:
        call, policy = self._call, self.use.policy
        self.history.add(error)
        if judged and judged is not True and policy.limiter is not None:
            policy.limiter.pause(judged)
        self.leave()  # not before: who waits behind would slip in before the pause
        decision = policy.plan.decide(
            judged,
            self.history.number,
            wait=self.wait(),
            left=call.left(),
            draw=chance,
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
        around = None if outer is None or outer.use is NOTHING else outer.use.policy
        self.history.tell_scheduled(decision, around)
        return True

    def rest(self) -> None:
        """Block this thread until the next attempt."""
        policy = self.use.policy
        waits = self._resume_at > policy.now()
        if waits and not policy.told_of_loop and runs_a_loop():
            policy.told_of_loop = True
            emit(LoopBlocked, limiter=None, policy=policy.name, cache=None)
        run(self._rest(THREADS))

    def arest(self) -> Awaitable[None]:
        """Return what suspends this task until the next attempt."""
        return self._rest(running_world())

    async def _rest(self, world: World) -> None:
        try:
            await rest(world, self._resume_at, self.use.policy.clock)
        except BaseException:
            self.forgo()
            raise
        self._wait = None
        self.history.number += 1
