"""FastAPI and Pydantic see what was decorated, and nothing of the decorator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import anyio
import httpx  # noqa: ASYNC127 - what most programs use, and here without a network
import pytest
from anyio.lowlevel import checkpoint
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field, ValidationError, validate_call

from concutil import Rate, RateLimiter, cached, retry
from virtual import Flaky

Function = Callable[..., Any]

policy = retry(ConnectionError, wait_initial=0)
limiter = RateLimiter(Rate(1e9))  # nobody waits

DECORATORS = {
    "retry": policy,
    "limiter": limiter,
    "limiter.by": limiter.by(cost=1),
    "cached": cached,
}
PATH = "/shelves/{shelf}"
ANSWER = {"shelf": 7, "name": "cup", "price": 1.5, "user": "MAIA", "tag": None}


class Thing(BaseModel, frozen=True):
    """A body that a cache can tell from others."""

    name: str
    price: float = 1.5


def user_of(token: str) -> str:
    """Return who has sent the request."""
    return token.upper()


User = Annotated[str, Depends(user_of)]


def put(shelf: int, thing: Thing, user: User, tag: str | None = None) -> dict[str, Any]:
    """Put a thing on a shelf."""
    return {"shelf": shelf, **thing.model_dump(), "user": user, "tag": tag}


async def aput(
    shelf: int, thing: Thing, user: User, tag: str | None = None
) -> dict[str, Any]:
    """Put a thing on a shelf, later."""
    await checkpoint()
    return put(shelf, thing, user, tag)


def positive(number: Annotated[int, Field(gt=0)]) -> int:
    """Return a number that was checked."""
    return number


async def apositive(number: Annotated[int, Field(gt=0)]) -> int:
    """Return it later."""
    await checkpoint()
    return number


decorators = pytest.mark.parametrize(
    "decorate", DECORATORS.values(), ids=DECORATORS.keys()
)


def serving(endpoint: Function) -> FastAPI:
    """Return an application that has only this *endpoint*."""
    app = FastAPI()
    app.post(PATH)(endpoint)
    return app


async def answer(endpoint: Function, shelf: object) -> httpx.Response:
    """Return what *endpoint* answers, in this process."""
    transport = httpx.ASGITransport(serving(endpoint))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.post(
            f"/shelves/{shelf}", params={"token": "maia"}, json={"name": "cup"}
        )


def returned(function: Function, *args: object) -> object:
    """Return what *function* of either colour gives."""
    result = function(*args)
    if not isinstance(result, Awaitable):
        return result

    async def wait() -> object:
        return await result

    return anyio.run(wait)


@decorators
@pytest.mark.parametrize("endpoint", [put, aput])
def test_openapi(decorate: Function, endpoint: Function) -> None:
    """A decorated endpoint has the schema that it would have without."""
    plain = serving(endpoint).openapi()

    assert PATH in plain["paths"]
    assert serving(decorate(endpoint)).openapi() == plain


@decorators
@pytest.mark.parametrize("endpoint", [put, aput])
@pytest.mark.anyio
async def test_requests(decorate: Function, endpoint: Function) -> None:
    """It gets its path, query, body and dependencies, all checked as they would be."""
    good = await answer(decorate(endpoint), 7)
    bad = await answer(decorate(endpoint), "top")

    assert (good.status_code, good.json()) == (200, ANSWER)
    assert (bad.status_code, bad.json()["detail"][0]["loc"]) == (422, ["path", "shelf"])


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.anyio
async def test_endpoints_are_retried(colour: str) -> None:
    """What fails in an endpoint is tried again within the request."""
    step = Flaky(ConnectionError(), ConnectionError(), 3)

    @policy
    def endpoint(shelf: int) -> int:
        return shelf + int(step())

    @policy
    async def aendpoint(shelf: int) -> int:
        await checkpoint()
        return shelf + int(step())

    response = await answer(endpoint if colour == "sync" else aendpoint, 7)
    assert (response.status_code, response.json(), step.calls) == (200, 10, 3)


@decorators
@pytest.mark.parametrize("function", [positive, apositive])
def test_validation_around(decorate: Function, function: Function) -> None:
    """What is validated before the decorator is validated by the function's types."""
    checked = validate_call(decorate(function))

    assert returned(checked, "7") == 7
    with pytest.raises(ValidationError, match="greater than 0"):
        returned(checked, "0")


@decorators
@pytest.mark.parametrize("function", [positive, apositive])
def test_validation_inside(decorate: Function, function: Function) -> None:
    """What is validated by each call is converted there, and keeps its colour."""
    checked = decorate(validate_call(function))

    assert returned(checked, "7") == 7
    with pytest.raises(ValidationError, match="greater than 0"):
        returned(checked, "0")
