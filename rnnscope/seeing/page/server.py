"""One page and its answers over HTTP, to browsers on this machine that know the address.

It listens on the loopback interface alone, on a port that the system chooses. The address holds a
token that cannot be guessed, so that other users of the machine cannot read along; the Host header
must name this very server, so that no web page can reach it under a name of its own (DNS
rebinding). There is no file behind an address: what is not in the table does not exist.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rnnscope.errors import RnnscopeError
from rnnscope.files.writing.closing import Closing

LOOPBACK = "127.0.0.1"
SECONDS = 60
"""A connection that says nothing for so long is closed."""

MOST_PARAMETERS = 16

Answer = Callable[[Mapping[str, str]], bytes]


class PageServer(Closing):
    """A page that is being served; close it, or use ``with``.

    Parameters
    ----------
    page : bytes
        HTML.
    policy : str
        The page's Content-Security-Policy.
    answers : mapping of str to callable
        What the page may ask for: each takes the query and returns bytes.

    Attributes
    ----------
    address : str
        With the token.
    """

    def __init__(self, page: bytes, policy: str, answers: Mapping[str, Answer]) -> None:
        token = secrets.token_urlsafe(24)
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.page, self._server.policy = page, policy
        self._server.answers, self._server.token = dict(answers), token
        self.address = f"http://{LOOPBACK}:{self._server.server_port}/{token}/"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when the server has been closed, or Ctrl-C was pressed."""
        while self._thread.is_alive():
            self._thread.join(0.5)  # without a limit, Ctrl-C would not be heard everywhere

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    page: bytes
    policy: str
    token: str
    answers: Mapping[str, Answer]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that goes away in the middle of an answer is no trouble."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "rnnscope"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        if not self._is_for_us():
            self._say(HTTPStatus.FORBIDDEN, "This is not the address of the page.")
            return
        address = urlsplit(self.path)
        # Both sides as bytes: text of other alphabets cannot be compared in constant time.
        _, token, *rest = [*address.path.split("/", 2), ""]
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")
        elif rest[0] == "" and address.path.endswith("/"):
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        elif rest[0] in self.server.answers:
            self._answer(self.server.answers[rest[0]], address.query)
        else:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _is_for_us(self) -> bool:
        """Whether the request names this server, and no other page made it behind one's back.

        A link to the page that is followed from elsewhere, as from a notebook, is fine.
        """
        port = self.server.server_port
        names = [f"{LOOPBACK}:{port}", f"localhost:{port}"]
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in names:
            return False
        origin = self.headers.get("Origin")
        if origin is not None and origin not in [f"http://{name}" for name in names]:
            return False
        if self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return True
        how = (self.headers.get("Sec-Fetch-Mode"), self.headers.get("Sec-Fetch-Dest"))
        return how == ("navigate", "document")

    def _answer(self, answer: Answer, query: str) -> None:
        try:
            body = answer(dict(parse_qsl(query, max_num_fields=MOST_PARAMETERS)))
        except RnnscopeError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except ValueError as error:  # of parse_qsl: too many parameters
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:  # noqa: BLE001  # a bug: the page shows what it was
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")
        else:
            self._send(HTTPStatus.OK, "application/octet-stream", body)

    def _say(self, status: HTTPStatus, words: str) -> None:
        self._send(status, "text/plain; charset=utf-8", words.encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"{self.server.policy}; frame-ancestors 'none'",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's word
        """Nothing is logged: the address is a secret."""
