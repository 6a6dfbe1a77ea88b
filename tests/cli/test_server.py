import socket
from http.client import HTTPConnection
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil._cli.server import HOST, PATH, Ledger, ListenError, serving

gaps = st.lists(st.floats(0, 0.5), max_size=60)


@given(gaps, st.integers(1, 8))
def test_no_second_is_served_more_than_its_share(gaps: list[float], most: int) -> None:
    """Any second sees at most so many served, and nobody is refused without need."""
    ledger = Ledger(most)
    served: list[float] = []
    at = 0.0
    for gap in gaps:
        at += gap
        lately = sum(time > at - 1.0 for time in served)
        assert ledger.arrive(at, {}).status == (200 if lately < most else 429)
        if lately < most:
            served.append(at)
    assert len(ledger.arrivals) == len(gaps)
    assert ledger.refused == len(gaps) - len(served)


def test_arrivals_are_counted_and_the_hasty_refused() -> None:
    """The server stamps every call in order, and answers 429 beyond its share."""
    ledger = Ledger(2)
    with serving(ledger) as port:
        connection = HTTPConnection(HOST, port, timeout=5)
        answers = []
        for _ in range(3):
            connection.request("GET", PATH)
            response = connection.getresponse()
            retry_after = response.headers["Retry-After"]
            answers.append((response.status, retry_after, response.read()))
        connection.close()
    assert answers == [
        (200, None, b"OK\n"),
        (200, None, b"OK\n"),
        (429, "1", b"Too Many Requests\n"),
    ]
    assert ledger.arrivals == sorted(ledger.arrivals)
    assert (len(ledger.arrivals), ledger.refused) == (3, 1)


def test_answers_take_their_time() -> None:
    """A slow server notes a call when it arrives, and answers that much later."""
    ledger = Ledger(2)
    with serving(ledger, answer_s=0.05) as port:
        connection = HTTPConnection(HOST, port, timeout=5)
        connection.request("GET", PATH)
        status = connection.getresponse().status
        seconds = monotonic() - ledger.arrivals[0]
        connection.close()
    assert (status, seconds >= 0.05) == (200, True)


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("POST", PATH)])
def test_strangers_are_not_counted(method: str, path: str) -> None:
    """What is no call of the demo gets a 404 and the end of its connection."""
    ledger = Ledger(2)
    with serving(ledger) as port:
        connection = HTTPConnection(HOST, port, timeout=5)
        connection.request(method, path, body=b"x")
        response = connection.getresponse()
        answer = (response.status, response.headers["Connection"], response.read())
        connection.close()
    assert answer == (404, "close", b"Not Found\n")
    assert ledger.arrivals == []


@pytest.mark.parametrize(
    "nonsense", [b"", b"GET", b"x" * 10_000], ids=["nothing", "half", "endless"]
)
def test_nonsense_ends_its_connection_alone(nonsense: bytes) -> None:
    """Half a request, or one without end, is hung up on, and the server goes on."""
    ledger = Ledger(2)
    with serving(ledger) as port:
        with socket.create_connection((HOST, port), timeout=5) as stranger:
            stranger.sendall(nonsense)
            stranger.shutdown(socket.SHUT_WR)
            assert stranger.recv(100) == b""
        connection = HTTPConnection(HOST, port, timeout=5)
        connection.request("GET", PATH)
        assert connection.getresponse().read() == b"OK\n"
        connection.close()


def test_it_listens_on_loopback_alone() -> None:
    """Only this machine can reach the server."""
    with serving(Ledger(1)) as port, socket.socket() as other:
        other.bind(("127.0.0.2", port))  # would fail if it listened everywhere


def test_nothing_is_left_after_the_block() -> None:
    """Afterwards nobody listens, connections are closed and no thread runs."""
    with serving(Ledger(1)) as port:
        idle = socket.create_connection((HOST, port), timeout=5)
        idle.sendall(f"GET {PATH} HTTP/1.1\r\n\r\n".encode())
        answer = idle.recv(1000)
    with idle:
        assert answer.endswith(b"OK\n")
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), timeout=5)


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    """A port that can't be opened is named, with the reason and a way out."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(
                ListenError, match=rf"127\.0\.0\.1:{port}: .+; take another --port"
            ),
            serving(Ledger(1), port=port),
        ):
            pass
