import pytest

from concutil._cli.heads import Head, Reply, parse_head, parse_reply


def test_a_head_is_read_as_it_was_written() -> None:
    """What one side writes the other one reads, with names in lower case."""
    text = bytes(Head("GET /call HTTP/1.1", {"Max-Tokens": "5", "Host": "a:1"}))
    assert text.endswith(b"\r\n\r\n")
    head = parse_head(text[:-4])
    assert head == ("GET /call HTTP/1.1", {"max-tokens": "5", "host": "a:1"})


def test_fields_of_a_head_are_found_by_any_case() -> None:
    """The length counts however its name is written."""
    text = b"HTTP/1.1 429 Too Many\r\nDate: 12:00:00\r\ncontent-LENGTH:  12 "
    fields = {"date": "12:00:00", "content-length": "12"}
    assert parse_reply(text) == (Reply(429, fields), 12)


@pytest.mark.parametrize(
    "text",
    [b"SSH-2.0-OpenSSH", b"HTTP/1.1 200 OK", b"HTTP/1.1 many\r\nContent-Length: 1"],
)
def test_what_is_no_answer_is_an_error(text: bytes) -> None:
    """A head without status or length is a ValueError, not a guess."""
    with pytest.raises(ValueError, match=r"expected|invalid literal"):
        parse_reply(text)
