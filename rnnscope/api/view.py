"""Looking at a trace in the browser, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rnnscope.files.writing.closing import Closing

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.seeing.page.server import PageServer


class ViewedTrace(Closing):
    """A page about a trace that is being served; close it, or use ``with``.

    Attributes
    ----------
    address : str
        Where it is, on this machine alone. Whoever has the address can read the trace.
    """

    def __init__(self, server: PageServer, opened: ExitStack) -> None:
        self._server, self._opened = server, opened
        self.address = server.address

    def open_browser(self) -> bool:
        """Show the page in the user's browser; whether there was one."""
        import webbrowser

        return webbrowser.open(self.address)

    def wait(self) -> None:
        """Return when it has been closed; Ctrl-C raises KeyboardInterrupt."""
        self._server.wait()

    def close(self) -> None:
        self._server.close()
        self._opened.close()

    def __repr__(self) -> str:
        return f"<page at {self.address}>"


def view(
    trace: str | os.PathLike[str] | StateTrace,
    /,
    *,
    layers: Iterable[str] = (),
    labels: str | os.PathLike[str] | None = None,
    title: str = "",
) -> ViewedTrace:
    """Serve the page of `rnnscope.write_report` to this machine's browser, whatever the size.

    Values are read from the trace as they are looked at. It listens on the loopback interface, on
    a port of its own, and answers only to who knows the token in the address.

    Parameters
    ----------
    trace : str, path or StateTrace
        It must not be closed before the page is.
    layers : iterable of str
        Globs; none: all.
    labels : str or path, optional
        As of `rnnscope.write_report`.
    title : str

    Raises
    ------
    RnnscopeError
        The trace cannot be read, or lacks a layer.

    Examples
    --------
    >>> import rnnscope
    >>> with rnnscope.view("trace.h5") as page:
    ...     page.address[:17]
    'http://127.0.0.1:'
    """
    from rnnscope.api.report import checked, open_source, page_request, with_tokens
    from rnnscope.report.page.about import checks
    from rnnscope.report.page.document import content_security_policy, render
    from rnnscope.report.page.markup import to_html
    from rnnscope.seeing.page.served import ServedTrace
    from rnnscope.seeing.page.server import PageServer

    with ExitStack() as opened:
        first = open_source(trace, opened)
        request = with_tokens(page_request(layers, title=title), labels, first)
        served = ServedTrace(first, request)
        answers = {
            **served.answers,
            "checks": lambda _: to_html(checks(checked(first, request))).encode(),
        }
        page = render(served.contents).encode()
        server = PageServer(page, content_security_policy(served=True), answers)
        return ViewedTrace(server, opened.pop_all())
