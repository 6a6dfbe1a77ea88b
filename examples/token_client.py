"""A client that keeps a limit of tokens, and waits when the server asks it to.

    python examples/token_client.py

The API allows 100 calls and 20,000 tokens per second. What a call uses is known when
it is answered. Here it is a stand-in, which is overloaded once.
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from concutil import RateLimiter

OK, TOO_MANY_REQUESTS = 200, 429
OVERLOADED_AT = 10

limits = RateLimiter("100/s", "20000 tokens/s burst 4000", name="model")


class Answer(NamedTuple):
    """What the stand-in answers."""

    status: int
    retry_after: float
    tokens_used: int


class StandIn:
    """It refuses one call, and otherwise uses a third of what it may."""

    def __init__(self) -> None:
        self.calls = 0

    async def complete(self, most: int) -> Answer:
        """Answer, or ask to wait."""
        await asyncio.sleep(0.002)
        self.calls += 1
        if self.calls == OVERLOADED_AT:
            return Answer(TOO_MANY_REQUESTS, 0.5, 0)
        return Answer(OK, 0, most // 3)


async def complete(model: StandIn, most: int) -> int:
    """Return how many tokens a completion has used, however often it is asked for."""
    while True:
        async with limits.permit({"tokens": most}) as permit:
            answer = await model.complete(most)
            if answer.status == OK:
                permit.adjust({"tokens": answer.tokens_used})
                return answer.tokens_used
            limits.pause(answer.retry_after)
            permit.refund()


async def main() -> None:
    model = StandIn()
    began = time.monotonic()
    used = await asyncio.gather(*(complete(model, 1500) for _ in range(40)))
    seconds = time.monotonic() - began
    print(f"{len(used)} completions of {sum(used)} tokens in {seconds:.1f} s,")
    print(f"half a second of it because the server asked, in {model.calls} calls")


if __name__ == "__main__":
    asyncio.run(main())
