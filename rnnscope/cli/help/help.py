"""``rnnscope help``: the pages that come with the package, and the help of every command."""

from __future__ import annotations

import os
import shutil
import sys
from difflib import get_close_matches
from importlib.resources import files

import click

from rnnscope.cli.help.completion_script import SHELLS, script
from rnnscope.cli.help.pages import TO_COPY, TOPICS, read_page
from rnnscope.cli.help.rendering import render_page
from rnnscope.cli.main import COMMANDS, cli
from rnnscope.cli.terminal.capabilities import is_dumb, wants_color
from rnnscope.errors import OptionError

WIDEST = 100
"""Columns: no line of a page is longer on a terminal, however wide that is."""


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
