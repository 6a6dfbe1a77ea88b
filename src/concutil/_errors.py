"""The exceptions that concutil raises by itself, with their data as attributes."""

from __future__ import annotations

from contextlib import suppress
from typing import final


class ConcutilError(Exception):
    """Base class of every error that concutil raises by itself.

    Misuse is reported as `ValueError`, `TypeError` or `RuntimeError` instead.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own way calls the class with `args` alone, which loses
        # keyword-only data.
        return _revive, (type(self), self.args, self.__dict__)


def _revive(
    kind: type[ConcutilError], args: tuple[object, ...], data: dict[str, object]
) -> ConcutilError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(data)
    return error


@final
class RateLimitExceeded(ConcutilError):  # noqa: N818  # a contract
    """A permit that could not be had within its timeout.

    Nothing was booked.

    Attributes:
        retry_after: Seconds until the rates would admit the same request. 0 when
            only the concurrency place was late.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"

    retry_after: float

    # Not made by users.
    def __init__(  # noqa: DOC101, DOC103 - see above
        self, message: str, *, retry_after: float
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@final
class RecursiveComputeError(ConcutilError):
    """A computation that would wait for itself, in any number of steps.

    Attributes:
        keys: Each needs the next one, and the last needs the first; or it can't go on
            because its thread is blocked.

    .. versionadded:: 0.1
    """

    __module__ = "concutil"

    keys: tuple[object, ...]

    # Not made by users.
    def __init__(  # noqa: DOC101, DOC103 - see above
        self, message: str, *, keys: tuple[object, ...]
    ) -> None:
        super().__init__(message)
        self.keys = keys


def note(error: BaseException, head: str, text: str) -> None:
    """Add a note to *error*, in place of the one that begins with the same *head*.

    So an exception that is raised again and again doesn't grow. One that can't be
    changed is left as it is.
    """
    with suppress(Exception):  # it is the user's, and may be anything
        before = getattr(error, "__notes__", ())
        notes = [it for it in before if not it.startswith(head)]
        # 3.10 has no add_note, and doesn't know of notes.
        setattr(error, "__notes__", [*notes, head + text])  # noqa: B010 - see above
