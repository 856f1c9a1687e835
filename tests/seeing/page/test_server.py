"""The server: to its own page alone, on this machine alone, and no files."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from rnnscope.errors import OptionError
from rnnscope.seeing.page.server import PageServer


def refuse(query):
    raise OptionError("There is no such thing.", found=query.get("x"))


def fail(_):
    raise KeyError("a bug")


@pytest.fixture
def server():
    answers = {"echo": lambda query: repr(dict(query)).encode(), "refuse": refuse, "fail": fail}
    with PageServer(b"<p>page</p>", "default-src 'none'", answers) as opened:
        yield opened


def ask(server, path=None, *, method="GET", host=None, headers=None):
    address = urlsplit(server.address)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.putrequest(method, path or address.path, skip_host=True)
    for name, value in {"Host": host or address.netloc, **(headers or {})}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def path_of(server):
    return urlsplit(server.address).path


def test_the_page_and_its_answers(server):
    answer, body = ask(server)
    assert (answer.status, body) == (200, "<p>page</p>")
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    answer, body = ask(server, path_of(server) + "echo?a=1&b=%2F")
    assert (answer.status, body) == (200, "{'a': '1', 'b': '/'}")


def test_it_listens_on_loopback_at_an_address_that_cannot_be_guessed(server):
    other = PageServer(b"", "", {})
    other.close()
    assert urlsplit(server.address).hostname == "127.0.0.1"
    assert len(path_of(server).strip("/")) >= 32
    assert path_of(server) != path_of(other)


@pytest.mark.parametrize(
    "path",
    ["/", "/favicon.ico", "/wrong/", "/wrong/echo", "TOKENx/", "TOKEN", "TOKEN/nothing",
     "TOKEN/../etc/passwd", "TOKEN/%2e%2e/etc/passwd", "TOKEN//etc/passwd", "TOKEN/echo/"],
)  # fmt: skip
def test_nothing_else_exists(server, path):
    answer, body = ask(server, path.replace("TOKEN", path_of(server).rstrip("/")))
    assert (answer.status, body) == (404, "There is nothing here.")


def test_bytes_of_any_kind_end_in_a_refusal(server):
    address = urlsplit(server.address)
    for line in ("GET /\xe9/ HTTP/1.1", "GET http://[ HTTP/1.1", "\x00\xff", "GET"):
        with socket.create_connection((address.hostname, address.port), timeout=10) as plain:
            plain.sendall(f"{line}\r\nHost: {address.netloc}\r\n\r\n".encode("latin-1"))
            plain.shutdown(socket.SHUT_WR)
            answer = plain.makefile("rb").read()
            assert b"page" not in answer.partition(b"\r\n\r\n")[2], line
    assert ask(server)[0].status == 200


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("evil.example", {}),
        ("evil.example:80", {}),
        ("127.0.0.1", {}),
        ("[::1]:PORT", {}),
        ("127.0.0.1:PORT", {"Origin": "http://evil.example"}),
        ("127.0.0.1:PORT", {"Origin": "null"}),
        ("127.0.0.1:PORT", {"Sec-Fetch-Site": "cross-site"}),
        ("127.0.0.1:PORT", {"Sec-Fetch-Site": "same-site"}),
        (
            "127.0.0.1:PORT",
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "iframe",
            },
        ),
    ],
)
def test_other_names_and_other_pages_are_refused(server, host, headers):
    port = str(urlsplit(server.address).port)
    answer, _ = ask(server, host=host.replace("PORT", port), headers=headers)
    assert answer.status == 403


def test_its_own_page_and_localhost_are_served(server):
    port = urlsplit(server.address).port
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    assert ask(server, headers=own)[0].status == 200
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document"}  # fmt: skip
    assert ask(server, headers=followed)[0].status == 200
    assert ask(server, host=f"localhost:{port}")[0].status == 200


def test_reading_is_all_that_can_be_done(server):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(server, method=method)[0].status == 501


def test_refusals_and_bugs_are_answers_too(server):
    answer, body = ask(server, path_of(server) + "refuse?x=7")
    assert (answer.status, body) == (400, "There is no such thing.\n  found: 7")
    answer, body = ask(server, path_of(server) + "fail")
    assert (answer.status, body) == (500, "KeyError: 'a bug'")
    many = "&".join(f"p{number}=1" for number in range(40))
    assert ask(server, path_of(server) + f"echo?{many}")[0].status == 400


def test_every_answer_keeps_to_itself(server):
    for path in (None, "/wrong/"):
        answer, _ = ask(server, path)
        assert answer.getheader("Cache-Control") == "no-store"
        assert answer.getheader("Referrer-Policy") == "no-referrer"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        policy = answer.getheader("Content-Security-Policy")
        assert policy == "default-src 'none'; frame-ancestors 'none'"
        assert answer.getheader("Server") == "rnnscope "


def test_when_it_is_closed_nobody_answers(server):
    server.close()
    with pytest.raises(ConnectionRefusedError):
        ask(server)
