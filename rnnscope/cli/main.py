"""The ``rnnscope`` command: finds the subcommand, and turns errors into messages and codes."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import click

from rnnscope import __version__
from rnnscope.cli.ending import (
    any_character,
    code_of_interrupt,
    drop_remarks_of_h5py,
    leave,
    leave_at_once,
    let_go_of,
    named,
    open_closed_streams,
    signals_as_interrupts,
    tell,
    too_few_addresses,
)
from rnnscope.cli.spelling import AS_COMMAND_LINE
from rnnscope.cli.terminal.error_output import bug_report, tell_as_json, tell_error, usage_report
from rnnscope.errors import OptionError, RnnscopeError, spell_as
from rnnscope.files.guarding.limits import put_limits_back, set_limits

COMMANDS = {
    "inspect": "Show the layers of a checkpoint and their options; what a trace or input holds.",
    "run": "Run a checkpoint over an input; keep c and m of every timestep in a trace.",
    "join": "Tie the parts of a run, made anywhere and in any order, to one trace.",
    "rerun": "Run a trace's recipe again: compare the states, or write another trace.",
    "check": "Check the states of traces, bare arrays or a suite of cases; for CI.",
    "pool": "Pool the states of a trace over valid steps: sum, mean, max, last, first.",
    "diff": "Compare states in any formats, or two checkpoints; say where and how they part.",
    "explain": "Say why a model's numbers differ from a reference: which reading gives them.",
    "vectors": "Write test vectors for an implementation in any language, with runners.",
    "export": "Write the states of a trace in the format of a framework or tool.",
    "convert": "Write recurrent layers in another format, read back and compared first.",
    "conform": "Hold an engine of LSTM, GRU and RNN to a corpus of small cases.",
    "show": "Show the states of a trace in the terminal: its tree, a heatmap, its units.",
    "plot": "Draw the states of a trace, or where two part, as .png, .svg or .pdf.",
    "report": "Write a page to explore the states of a trace, in one HTML file.",
    "view": "Explore the states of a trace in the browser, however large it is.",
    "help": "Show a page about a topic, offline: formats, checks, padding, the trace, …",
}
"""Commands and their one line of help, in the order in which they are listed."""

FAMILIES = {
    "seeing": ("inspect", "show", "plot", "report", "view"),
    "running": ("run", "join", "rerun"),
    "checking": ("check",),
    "states": ("pool", "export"),
    "comparing": ("diff", "explain"),
    "porting": ("vectors", "convert", "conform"),
    "help": ("help",),
}
"""The folders of this room, and the commands whose modules they hold."""

FINE, VERDICT, TROUBLE = 0, 1, 2

OBJECTS_BEFORE_GARBAGE = 100_000
"""How many may be made before garbage is looked for; some 70,000 are imported for a run."""


class LazyGroup(click.Group):
    """A group whose commands are modules of `FAMILIES`, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        folder = next(folder for folder, names in FAMILIES.items() if cmd_name in names)
        command: click.Command = import_module(f"rnnscope.cli.{folder}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise no_command(name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def no_command(name: str) -> OptionError:
    """The error for a word that is no command: the nearest one, or what files are given to."""
    from difflib import get_close_matches
    from pathlib import Path

    near = get_close_matches(name.lower(), COMMANDS, n=1)
    hint = f"did you mean 'rnnscope {near[0]}'?" if near else "rnnscope --help lists them"
    if not near and ("." in name or "/" in name or Path(name).exists()):
        hint = f"a command comes first: rnnscope inspect {name}"
    return OptionError(
        f"There is no command '{name}'.", expected=", ".join(COMMANDS), found=name, hint=hint
    )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 a check failed or states differ, 2 trouble. "
    "Documentation: rnnscope help.",
)
@click.version_option(__version__, "-V", "--version", prog_name="rnnscope")
def cli() -> None:
    """Look inside a saved LSTM: its checkpoint is read as data, every step's states are kept.

    \b
    rnnscope inspect model.ckpt
    rnnscope run model.ckpt inputs.npz -o trace.h5
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 fine, 1 a verdict, 2 trouble of any kind."""
    # All that is imported is kept: looking for garbage in it again and again finds none.
    gc.set_threshold(OBJECTS_BEFORE_GARBAGE)
    open_closed_streams()
    any_character()
    drop_remarks_of_h5py()
    set_limits(probe_always=True)  # this process is ours alone: it may fork
    code = TROUBLE if too_few_addresses() else run(arguments)
    if code == TROUBLE:
        leave_at_once(code)
    if arguments is not None:  # of a caller in Python, who may have more to do
        sys.exit(code)
    leave(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    spell_as(AS_COMMAND_LINE)
    before = set_limits()
    try:
        with signals_as_interrupts():
            return _run(arguments)
    except KeyboardInterrupt as stop:  # while something was being tidied up
        return code_of_interrupt(stop)
    finally:
        spell_as()
        put_limits_back(before)


def _run(arguments: list[str] | None) -> int:
    try:
        refuse_empty(sys.argv[1:] if arguments is None else arguments)
        result: Any = cli.main(arguments, prog_name="rnnscope", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except (click.Abort, KeyboardInterrupt) as stop:
        if isinstance(stop.__cause__, EOFError):
            # click takes it for the end of what a user types; no command asks for anything.
            return _unforeseen(stop.__cause__, arguments)
        tell("interrupted: nothing was kept\n")
        return code_of_interrupt(stop)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        tell_as_json(arguments, usage_report, error)
        return TROUBLE
    except RnnscopeError as error:
        tell_error(error, arguments)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more at exit.
        sys.stderr.close()
        return TROUBLE
    except Exception as error:  # noqa: BLE001 - 1 must stay a verdict
        return _unforeseen(error, arguments)
    return result if isinstance(result, int) else FINE


def _unforeseen(error: Exception, arguments: list[str] | None) -> int:
    """Tell an error that is none of ours: what the machine refused, or a bug."""
    refused = named(error)
    # What is no refusal is a bug: its traceback must be seen.
    if refused is None:
        tell("".join(traceback.format_exception(error)))
        tell_as_json(arguments, bug_report, error)
    else:
        tell_error(refused, arguments)
    if isinstance(error, OSError) and _is_stuck():
        let_go_of(sys.stdout)
    return TROUBLE


def refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse an empty argument: as a path it would mean the current folder.

    Raises
    ------
    OptionError
        It names the flag that the empty text belongs to, or which argument it is.
    """
    for number, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if argument and not (flag.startswith("-") and equals and not value):
            continue
        before = arguments[number - 1] if number else ""
        name = flag if argument else before if before.startswith("-") else f"argument {number}"
        raise OptionError(
            "An argument is empty.",
            where=name,
            expected="a path, a name or a value",
            found="''",
            hint="is it a variable of the shell that is not set?",
        )


def _is_stuck() -> bool:
    """Whether stdout does not take what waits to be written."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False
