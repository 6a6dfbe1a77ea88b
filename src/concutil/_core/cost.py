"""What a call costs: an amount of each unit that some rate counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .options import not_negative, positive, shown
from .rates import Rate, most_at_once

Cost = Mapping[str, float]  # amounts by unit
CALLS: Final = "calls"
ONE: Final[Cost] = {CALLS: 1.0}  # what a block costs


def cost_of(value: object, rates: Iterable[Rate]) -> Cost:
    """Return *value*, a number of calls or amounts by unit, as amounts by unit.

    Args:
        value: What a caller gave; calls are 1 unless given.
        rates: The rates that count it.

    Raises:
        TypeError: If it is of the wrong kind.
        ValueError: If an amount is out of its range, no rate counts its unit, or no
            wait could ever admit it.
    """
    rates = tuple(rates)
    cost = any_cost(value, rates)
    for rate in rates:
        amount = cost.get(rate.unit, 0.0)
        if amount > most_at_once(rate):
            what = f"the limit of {rate}" if rate.exact else f"the burst of {rate}"
            raise ValueError(
                f"cost={shown_cost(cost)} is above {what}, so no wait could admit it:"
                f" give that rate burst={amount:g} or more"
            )
    return cost


def any_cost(value: object, rates: Iterable[Rate]) -> Cost:
    """Return what `cost_of` does, however much it is."""
    if not isinstance(value, Mapping):
        return {CALLS: positive("cost", value)}
    units = {CALLS, *(rate.unit for rate in rates)}
    cost = dict(ONE)
    for unit, amount in value.items():
        if unit not in units:
            raise ValueError(
                f"cost has {shown(unit)}, which no rate counts: the units are"
                f" {', '.join(sorted(units))}"
            )
        cost[unit] = not_negative(f"cost[{unit!r}]", amount)
    return cost


def shown_cost(cost: Cost) -> str:
    """Return a short text for *cost*."""
    if cost.keys() == ONE.keys():
        return f"{cost[CALLS]:g}"
    return " + ".join(f"{amount:g} {unit}" for unit, amount in cost.items())
