"""A page of Markdown laid out for a terminal."""

from __future__ import annotations


def render_page(text: str, *, width: int, color: bool) -> str:
    """A page laid out for a terminal.

    Parameters
    ----------
    text : str
        Markdown.
    width : int
        Columns.
    color : bool
        Whether headings, code and tables are marked by terminal colours.
    """
    from io import StringIO

    from rich import markdown
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.padding import Padding
    from rich.text import Text
    from rich.theme import Theme

    class Heading(markdown.Heading):
        """A heading at the left margin, a blank line before it."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            if self.tag != "h1":
                yield Text()
            yield self.text

    class CodeBlock(markdown.CodeBlock):
        """Code as it is written, two columns in; what is too long goes on in the next line."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            code = Text(str(self.text).rstrip(), style="code", overflow="fold")
            yield Padding(code, (0, 0, 0, 2))

    class Page(markdown.Markdown):
        elements = {  # noqa: RUF012  # as the base class has it
            **markdown.Markdown.elements,
            "heading_open": Heading,
            "fence": CodeBlock,
            "code_block": CodeBlock,
        }

    styles = {
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.code": "cyan",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
        "code": "cyan",
    }
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        theme=Theme(styles),
        legacy_windows=False,
    )
    console.print(Page(text, hyperlinks=False))
    lines = str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in lines)
