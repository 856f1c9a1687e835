"""``rnnscope help``: the pages that come with the package, and the help of every command."""

from __future__ import annotations

import os
import re
import shutil
import sys
from difflib import get_close_matches
from importlib.resources import files
from posixpath import dirname, join, normpath
from typing import NamedTuple

import click

from rnnscope.cli.completion import SHELLS, script
from rnnscope.cli.main import COMMANDS, cli
from rnnscope.cli.terminal import is_dumb, wants_color
from rnnscope.errors import OptionError

WIDEST = 100
"""Columns: no line of a page is longer on a terminal, however wide that is."""


class Topic(NamedTuple):
    """A page of documentation.

    Attributes
    ----------
    page : str
        Path of the Markdown file below the package.
    title : str
        Its heading, and its line in the list of topics.
    """

    page: str
    title: str


TOPICS: dict[str, Topic] = {
    "commands": Topic("cli/COMMANDS.md", "Every command and its options"),
    "completion": Topic("cli/COMPLETION.md", "Completion in bash, zsh and fish"),
    "examples": Topic("cli/EXAMPLES.md", "Examples"),
    "checkpoints": Topic("checkpoints/FORMATS.md", "Which checkpoints are read"),
    "reading": Topic("checkpoints/READING.md", "How checkpoints are read, and why so"),
    "published": Topic("checkpoints/PUBLISHED_MODELS.md", "Published models that were read"),
    "inputs": Topic("inputs/INPUTS.md", "Inputs, lengths, masks, initial states and resets"),
    "equations": Topic("model/EQUATIONS.md", "What is computed, and where options come from"),
    "padding": Topic("model/PADDING.md", "What happens past the length of a sequence"),
    "decoders": Topic("running/DECODERS.md", "Encoder and decoder in one run"),
    "large-runs": Topic("running/LARGE_RUNS.md", "Runs larger than memory"),
    "clusters": Topic("clusters/DISTRIBUTED.md", "Past one machine: parts and clusters"),
    "traces": Topic("trace/READING.md", "Reading a trace"),
    "schema": Topic("trace/FORMAT.md", "The trace, schema version 2"),
    "object-stores": Topic("trace/stores/OBJECT_STORES.md", "Object stores, and traces as zarr"),
    "seeing": Topic("seeing/SEEING.md", "Looking at states"),
    "pages": Topic("report/page/PAGES.md", "A page to explore states"),
    "checks": Topic("checks/CHECKS.md", "The checks"),
    "streaming": Topic("streaming/STREAMING.md", "Fed in chunks"),
    "suites": Topic("record/SUITES.md", "Suites of cases, in CI and in pytest"),
    "pooling": Topic("pooling/POOLING.md", "Pooling over valid steps"),
    "comparing": Topic("comparing/COMPARING.md", "Comparing states and checkpoints"),
    "explaining": Topic("explaining/EXPLAINING.md", "Why do these numbers differ?"),
    "vectors": Topic("vectors/VECTORS.md", "Test vectors for an implementation in any language"),
    "converting": Topic("converting/CONVERTING.md", "Recurrent layers in another format"),
    "conforming": Topic("conforming/CONFORMING.md", "Does an engine compute them right?"),
    "states": Topic("states/FORMATS.md", "The formats of states"),
    "speed": Topic("engines/SPEED.md", "Engines and speed"),
    "kernel": Topic("engines/compiled/KERNEL.md", "The compiled steps"),
    "trust": Topic("files/UNTRUSTED_FILES.md", "Files from people you do not trust"),
}
"""Every page by the name that ``rnnscope help`` takes, in reading order."""

TO_COPY: dict[str, Topic] = {
    "action": Topic("record/ci/action.yml", "A GitHub Action to copy"),
    "pre-commit": Topic("record/ci/pre-commit-hooks.yaml", "Hooks for pre-commit to copy"),
}
"""Files that are printed as they are."""

_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


@click.command("help")
@click.argument("topic", required=False)
@click.argument("shell", required=False, type=click.Choice(SHELLS))
def command(topic: str | None, shell: str | None) -> None:
    """Show a page about TOPIC, offline; without one, list the topics.

    TOPIC may be the name of a command, too: its options are shown then. With a SHELL, bash, zsh or
    fish, the topic completion prints the script that completes rnnscope there. On a terminal a page
    goes through the pager (PAGER); elsewhere it is plain text.

    \b
    rnnscope help
    rnnscope help padding
    rnnscope help run
    rnnscope help traces > traces.txt
    rnnscope help completion bash

    Exits with 2 if there is no such topic.
    """
    if shell is not None:
        if topic != "completion":
            raise OptionError("A shell goes with the topic completion.", found=f"{topic} {shell}")
        click.echo(script(shell))
    elif topic is None:
        click.echo(list_topics(), nl=False)
    elif topic in TOPICS:
        _show(topic)
    elif topic in TO_COPY:
        found = files("rnnscope") / TO_COPY[topic].page
        click.echo(found.read_text(encoding="utf-8"), nl=False)
    elif topic in COMMANDS:
        click.echo(command_help(topic))
    else:
        near = get_close_matches(topic.lower(), [*TOPICS, *TO_COPY, *COMMANDS], n=1)
        raise OptionError(
            f"There is no help on '{topic}'.",
            expected="a topic: " + ", ".join(TOPICS) + "; or a command: " + ", ".join(COMMANDS),
            hint=f"rnnscope help {near[0]}" if near else None,
        )


def list_topics() -> str:
    """The topics, a line each, and what else can be asked for."""
    topics = TOPICS | TO_COPY
    width = max(map(len, topics)) + 2
    return "".join(
        [
            "Topics:\n",
            *(f"  {name.ljust(width)}{topic.title}\n" for name, topic in topics.items()),
            "\nrnnscope help TOPIC shows a page, rnnscope help COMMAND the options of a command.\n",
            f"Commands: {', '.join(COMMANDS)}.\n",
        ]
    )


def command_help(name: str) -> str:
    """What ``rnnscope NAME --help`` prints, without the newline at its end."""
    parent = click.Context(cli, info_name="rnnscope", **cli.context_settings)
    asked = cli.get_command(parent, name)
    assert asked is not None
    return asked.get_help(click.Context(asked, info_name=name, parent=parent))


def read_page(topic: str) -> str:
    """The page on a topic as readable Markdown.

    Comments are left out. A link to another page reads ``text (rnnscope help TOPIC)``, one to the
    web ``text (address)``; of a link to a file that is not in the package only the text is left.
    """
    page = TOPICS[topic].page
    text = _COMMENT.sub("", (files("rnnscope") / page).read_text(encoding="utf-8"))
    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda link: _readable(link, page), part)
        for part in parts
    )


def _readable(link: re.Match[str], page: str) -> str:
    text, target = link.groups()
    if "://" in target:
        return f"{text} ({target})"
    path = normpath(join(dirname(page), target.partition("#")[0]))
    named = [name for name, topic in TOPICS.items() if topic.page == path != page]
    return f"{text} (`rnnscope help {named[0]}`)" if named else text


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


def _show(topic: str) -> None:
    text = read_page(topic)
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    page = render_page(text, width=width, color=wants_color(sys.stdout))
    if is_dumb():
        click.echo(page, nl=False)
        return
    # less ends by itself where the page fits on the screen, as git has it.
    os.environ.setdefault("LESS", "FRX")
    click.echo_via_pager(page, color=True)
