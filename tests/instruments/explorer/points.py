"""Where a switch may happen: before every bytecode of a target that others can see."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, Literal, final

from .scheduler import Scheduler
from .targets import Targets

# What a step is: a bytecode that others can see; the first of those in each line; or
# only what is done with a lock, which finds all that is wrong with data that locks
# guard everywhere. What is done with a lock is always one.
Grain = Literal["bytecode", "line", "lock"]

TOOL: Final = 4  # of `sys.monitoring`; the first are for debuggers, coverage, profilers


@final
class Site:
    """One code object, and how often a thread made a step where.

    Attributes:
        target: What it belongs to.
        hits: How often, by the offsets at which others can see what is done.
        name: File and function.
    """

    __slots__ = ("code", "hits", "name", "target")

    def __init__(self, code: CodeType, targets: Targets, grain: Grain) -> None:
        self.code = code
        self.target = targets.of(code)
        visible = targets.visible(code)
        if grain == "line":
            visible = _first_of_lines(code, visible)
        self.hits = dict.fromkeys(visible, 0)
        function = getattr(code, "co_qualname", code.co_name)  # 3.11
        self.name = f"{Path(code.co_filename).name}:{function}"


class BasePoints:
    """Counts what was reached; a subclass finds out when a step is due.

    Args:
        targets: Where steps are made.
        grain: What a step is.
    """

    def __init__(self, targets: Targets, *, grain: Grain = "bytecode") -> None:
        self.scheduler: Scheduler | None = None
        self.grain = grain
        self._targets = targets
        self._sites: dict[int, Site] = {}  # by the identity of their code

    def covers(self, code: CodeType) -> bool:
        """Whether *code* belongs to a target."""
        return self._targets.of(code) is not None

    def stops_before_calls(self, code: CodeType) -> bool:
        """Whether each call in *code* is a step of its own."""
        return self.grain == "bytecode" and self.covers(code)

    def site(self, code: CodeType) -> Site:
        """Return the site of *code*, which belongs to a target."""
        site = self._sites.get(id(code))
        if site is None:
            site = self._sites[id(code)] = Site(code, self._targets, self.grain)
        return site

    def entered(self, site: Site) -> bool:
        """Note whether a thread has entered *site*, where no bytecode is looked at."""
        if self.scheduler is not None and self.scheduler.here() is not None:
            site.hits[0] = 1
        return bool(site.hits.get(0))

    def reached(self) -> dict[str, int]:
        """Return how many steps were made by function; 1 for one just entered."""
        steps = {site.name: sum(site.hits.values()) for site in self._sites.values()}
        return {name: count for name, count in steps.items() if count}

    def missed(self) -> list[str]:
        """Return the targets in which no step was made."""
        reached = {s.target for s in self._sites.values() if any(s.hits.values())}
        names = self._targets.names
        return [name for target, name in names.items() if target not in reached]

    def begin(self) -> None:
        """Start to look at targets."""

    def end(self) -> None:
        """Stop looking."""

    def follow(self) -> None:
        """Begin to watch the calling thread."""

    def leave(self) -> None:
        """Stop watching the calling thread."""


def _first_of_lines(code: CodeType, offsets: Collection[int]) -> list[int]:
    lines = [(begin, end) for begin, end, _ in code.co_lines()]
    inside = [[at for at in offsets if begin <= at < end] for begin, end in lines]
    return [min(some) for some in inside if some]


if sys.version_info >= (3, 12):

    class Points(BasePoints):
        """Is told by `sys.monitoring`: what isn't a target runs at full speed."""

        def begin(self) -> None:
            events = sys.monitoring.events
            sys.monitoring.use_tool_id(TOOL, "schedules")
            sys.monitoring.register_callback(TOOL, events.PY_START, self._on_start)
            sys.monitoring.register_callback(TOOL, events.INSTRUCTION, self._on_step)
            sys.monitoring.set_events(TOOL, events.PY_START)
            sys.monitoring.restart_events()

        def end(self) -> None:
            for site in self._sites.values():
                sys.monitoring.set_local_events(TOOL, site.code, 0)
            sys.monitoring.set_events(TOOL, 0)
            sys.monitoring.free_tool_id(TOOL)

        def _on_start(self, code: CodeType, _: int) -> Any:
            if not self.covers(code):
                return sys.monitoring.DISABLE
            site = self.site(code)
            if self.grain == "lock":
                return sys.monitoring.DISABLE if self.entered(site) else None
            step = sys.monitoring.events.INSTRUCTION
            sys.monitoring.set_local_events(TOOL, code, step)
            return sys.monitoring.DISABLE

        def _on_step(self, code: CodeType, offset: int) -> Any:
            hits = self._sites[id(code)].hits
            if offset not in hits:
                return sys.monitoring.DISABLE
            if self.scheduler is not None and self.scheduler.step():
                hits[offset] += 1  # after the step: others may have counted before it
            return None

else:

    class Points(BasePoints):
        """Is told by `sys.settrace`, which knows single bytecodes."""

        def follow(self) -> None:
            sys.settrace(self._on_call)

        def leave(self) -> None:
            sys.settrace(None)

        def _on_call(self, frame: FrameType, _event: str, _arg: object) -> Any:
            if not self.covers(frame.f_code):
                return None
            site = self.site(frame.f_code)
            if self.grain == "lock":
                self.entered(site)
                return None
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            return self._on_step

        def _on_step(self, frame: FrameType, event: str, _arg: object) -> Any:
            if event == "opcode" and self.scheduler is not None:
                hits = self._sites[id(frame.f_code)].hits
                if frame.f_lasti in hits and self.scheduler.step():
                    hits[frame.f_lasti] += 1
            return self._on_step
