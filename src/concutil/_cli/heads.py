"""The heads of HTTP messages: a first line, and fields by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Head(NamedTuple):
    """All of a message up to its empty line."""

    line: str
    fields: Mapping[str, str]  # by name, in lower case

    def __bytes__(self) -> bytes:
        fields = (f"{name}: {value}" for name, value in self.fields.items())
        return "\r\n".join([self.line, *fields, "", ""]).encode("latin-1")


class Reply(NamedTuple):
    """What a server answers: a status, and fields that say more."""

    status: int
    fields: Mapping[str, str]  # a client gets their names in lower case


def parse_head(text: bytes) -> Head:
    """Return what *text*, the head of any message, says."""
    line, *fields = text.decode("latin-1").split("\r\n")
    pairs = (field.partition(":") for field in fields if field)
    return Head(line, {name.lower(): value.strip() for name, _, value in pairs})


def parse_reply(text: bytes) -> tuple[Reply, int]:
    """Say what the head of an answer says.

    Args:
        text: All up to the empty line.

    Returns:
        The reply, and the length of the body that follows.

    Raises:
        ValueError: If it isn't the head of an answer, or doesn't say how long it is.
    """
    line, fields = parse_head(text)
    version, _, rest = line.partition(" ")
    length = fields.get("content-length")
    if not version.startswith("HTTP/") or length is None:
        raise ValueError(f"expected an HTTP answer with a length, not {text[:60]!r}")
    return Reply(int(rest[:3]), fields), int(length)
