"""The way round is found if there is one, in graphs of any shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from concutil._core.waits import Step, live, way

nodes = st.integers(0, 9)
graphs = st.dictionaries(nodes, st.lists(nodes, max_size=4))


def reachable(start: int, graph: dict[int, list[int]]) -> set[int]:
    """Return all that *start* leads to, itself included, the naive way."""
    seen = {start}
    for _ in range(10):
        seen |= {there for here in seen for there in graph.get(here, [])}
    return seen


@given(graph=graphs, start=nodes, goals=st.lists(nodes, max_size=3))
def test_a_way_is_found_exactly_if_there_is_one(
    graph: dict[int, list[int]], start: int, goals: list[int]
) -> None:
    """A way leads from start to a goal by edges alone, and never twice to a step."""
    steps = [Step(number, 0) for number in range(10)]
    looked_at: Counter[int] = Counter()

    def onward(step: Step) -> Iterable[Step]:
        looked_at[step.key] += 1
        return [steps[number] for number in graph.get(step.key, [])]

    found = way(steps[start], [steps[goal] for goal in goals], onward)

    assert (found is not None) == bool(reachable(start, graph) & set(goals))
    assert max(looked_at.values()) == 1, "each step is looked at once"
    if found is not None:
        numbers = [step.key for step in found]
        assert numbers[0] == start
        assert numbers[-1] in goals
        assert len(set(numbers)) == len(numbers)
        assert all(there in graph[here] for here, there in pairwise(numbers))


def test_a_long_way_needs_no_recursion() -> None:
    """A chain far longer than Python's stack is walked to its end."""
    steps = [Step(number, 0) for number in range(20_000)]
    after = {here: [there] for here, there in pairwise(steps)}

    found = way(steps[0], [steps[-1]], lambda step: after.get(step, []))

    assert found == steps


def test_live_passes_over_what_is_over() -> None:
    """The innermost computation around that has not ended, or None."""
    outer = Step("outer", 1)
    middle = Step("middle", 1, outer)
    inner = Step("inner", 1, middle)

    assert live(None) is None
    assert live(inner) is inner
    inner.over = middle.over = True
    assert live(inner) is outer
    outer.over = True
    assert live(inner) is None
