"""README and the pages beside the rooms hold what the program prints; their tables are the tables.

``python tests/docs/test_pages.py`` writes outputs and tables anew.
"""

from __future__ import annotations

import contextlib
import doctest
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest

from rnnscope.checkpoints import readers
from rnnscope.checks import CHECKS
from rnnscope.checks.weights import WEIGHT_CHECKS
from rnnscope.cli.help.help import list_topics
from rnnscope.cli.help.pages import TO_COPY, TOPICS, read_page
from rnnscope.cli.help.rendering import render_page
from rnnscope.cli.main import COMMANDS, run
from rnnscope.converting import weight_formats
from rnnscope.states import state_formats

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PACKAGE = ROOT / "rnnscope"
PAGES = [README, *(PACKAGE / topic.page for topic in TOPICS.values())]
LONGEST_README = 250

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYCON = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(<!-- (\w+): made -->\n).*?(?=<!-- end -->)", re.DOTALL)
CI_LINE = re.compile(r"^<!-- ci: (\w+) -->\n```console\n\$ (.*)$", re.MULTILINE)
TIMING = re.compile(r"[\d.,]+ s, [\d.,]+ steps/s|tried in [\d.]+ s")
ROUNDING = re.compile(r"(states within|Largest difference:) \d(\.\d)?e-1[56]\b")
"""What `convert` finds in the last bits of float64: a BLAS sums in another order where arrays lie
otherwise."""

FOLDERS = re.compile(r"\.venv/bin/")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def _without_chance(output: str) -> str:
    """What a command prints, without what is another number in every run."""
    return ROUNDING.sub("rounding", TIMING.sub("", output))


def _table(*rows: tuple[str, ...]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    rule = "|" + "---|" * len(rows[0])
    return "\n".join([lines[0], rule, *lines[1:], ""])


def _readers() -> str:
    head = ("format", "what is read", "what is not")
    return _table(
        head, *((reader.title, reader.reads, reader.does_not_read) for reader in readers())
    )


def _checks() -> str:
    head = ("check", "says", "also in `run`", "default limit")
    rows = []
    for check in CHECKS.values():
        in_run = "yes" if check.during_run else ""
        limit = "" if check.limit is None else f"{check.limit:g}"
        rows.append((
            f"`{check.id}`", check.title, "for decoders" if check.id == "handoff" else in_run,
            "rounding" if check.scaled else limit,
        ))  # fmt: skip
    return _table(head, *rows)


def _state_formats() -> str:
    head = ("format", "read as", "holds")
    return _table(
        head, *((f"`{entry.name}`", entry.expects, entry.holds) for entry in state_formats())
    )


def _weight_checks() -> str:
    head = ("check", "says", "default limit", "beyond it")
    return _table(
        head,
        *((f"`{check.id}`", check.title, f"{check.limit:g}", "warns" if check.is_taste else "fails")
          for check in WEIGHT_CHECKS.values()),
    )  # fmt: skip


def _weight_formats() -> str:
    head = ("format", "file", "holds")
    return _table(
        head, *((f"`{entry.name}`", entry.title, entry.holds) for entry in weight_formats())
    )


TABLES = {
    "readers": _readers,
    "checks": _checks,
    "weights": _weight_checks,
    "states": _state_formats,
    "targets": _weight_formats,
}


def refreshed(text: str, folder: Path) -> str:
    """A page with its tables and the output of its commands made anew.

    Commands are run in a folder that holds ``sample_data``, and the trace of the README's first
    example. Of a line that also installs, only the last part is run. What is no ``rnnscope``
    command keeps its output.
    """
    text = TABLE.sub(lambda mark: mark[1] + TABLES[mark[2]](), text)
    return CONSOLE.sub(lambda block: f"```console\n{_session(block[1], folder)}```", text)


def _session(block: str, folder: Path) -> str:
    shown, code = [], 0
    for line, before in re.findall(r"^(\$ .*\n)((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        *_, last = command = FOLDERS.sub("", line[2:]).split("&&")
        words = shlex.split(last)
        if words[0] == "echo" and len(command) > 1:  # rnnscope … && echo "well"
            output, code = _run(shlex.split(command[-2])[1:], folder)
            shown.append(line + (output if code else f"{words[1]}\n"))
        elif words[0] == "rnnscope":
            output, code = _run(words[1:], folder)
            assert "Traceback" not in output, output
            same = _without_chance(output) == _without_chance(before)
            shown.append(line + (before if same else output))
        else:
            shown.append(line + (f"{code}\n" if words == ["echo", "$?"] else before))
    return "".join(shown)


def _run(arguments: list[str], folder: Path) -> tuple[str, int]:
    """What a command says on stdout and stderr, and its exit code.

    In this process: there are many commands, and a process of its own takes longer to start than
    most of them take.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryFile("w+", encoding="utf-8") as output,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        code = run(arguments)
        output.seek(0)
        return output.read(), code


def _prepare(folder: Path, trace: Path | None = None) -> Path:
    """A folder in which the sessions of a page can be run."""
    (folder / "sample_data").symlink_to(ROOT / "sample_data", target_is_directory=True)
    if trace is not None:
        shutil.copyfile(trace, folder / "trace.h5")
    return folder


def _first_trace(folder: Path) -> Path:
    first = CI_LINE.search(README.read_text(encoding="utf-8"))
    assert first is not None
    _run(shlex.split(first[2].split("&&")[-1])[1:], _prepare(folder))
    return folder / "trace.h5"


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return _first_trace(tmp_path_factory.mktemp("first"))


@pytest.fixture
def folder(tmp_path, trace):
    return _prepare(tmp_path, trace)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_outputs_and_tables_are_the_programs_own(page, folder):
    text = page.read_text(encoding="utf-8")
    assert refreshed(text, folder) == text, "python tests/docs/test_pages.py writes it anew"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if PYCON.search(page.read_text("utf-8"))], ids=name_of
)
def test_python_examples_run_as_written(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    examples = "\n".join(PYCON.findall(page.read_text(encoding="utf-8")))
    test = doctest.DocTestParser().get_doctest(examples, {}, page.name, str(page), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_two_lines_set_everything_up():
    """`.ci/run` takes its first two commands from these marks."""
    lines = dict(CI_LINE.findall(README.read_text(encoding="utf-8")))
    assert list(lines) == ["run", "test"]
    for line in lines.values():
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert ".venv/bin/rnnscope run sample_data/" in lines["run"]
    assert lines["test"].endswith(".venv/bin/pytest")


def test_readme_is_short_and_says_nothing_that_is_not_so():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_README
    assert "pip install rnnscope" not in text  # nothing of that name is published


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_samples_exist(page):
    written = CONSOLE.sub("", page.read_text(encoding="utf-8"))
    for name in set(re.findall(r"sample_data/[\w./]+\w", written)):
        assert (ROOT / name).exists() or (ROOT / f"{name}.index").exists(), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = CONSOLE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if "://" not in target:
            path = target.partition("#")[0]
            assert not path or (page.parent / path).exists(), target


def test_every_page_of_the_package_is_a_topic():
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.md")}
    assert found == {topic.page for topic in TOPICS.values()}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_begins_with_its_title_and_fits_the_terminal(topic):
    text = read_page(topic)
    assert text.startswith(f"# {TOPICS[topic].title}\n")
    for width in (60, 100):
        shown = render_page(text, width=width, color=False)
        assert max(map(len, shown.splitlines())) <= width
        assert "\x1b" not in shown


def test_topics_are_listed(rnnscope):
    result = rnnscope("help")
    assert (result.code, result.stdout) == (0, list_topics())
    assert all(name in result.stdout for name in (*TOPICS, *COMMANDS))


def test_a_page_is_plain_where_nobody_reads_it_on_a_terminal(rnnscope):
    result = rnnscope("help", "checks")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("# The checks\n")


def test_help_on_a_command_is_that_of_the_command(rnnscope):
    assert rnnscope("help", "pool").stdout == rnnscope("pool", "--help").stdout


def test_an_unknown_topic_names_the_nearest(rnnscope):
    result = rnnscope("help", "chekcs")
    assert (result.code, result.stdout) == (2, "")
    assert "rnnscope help checks" in result.stderr


def test_the_page_of_commands_has_all_of_them_in_their_order():
    page = (PACKAGE / TOPICS["commands"].page).read_text(encoding="utf-8")
    assert re.findall(r"^## rnnscope (\S+)$", page, re.MULTILINE) == [*COMMANDS]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_help_that_a_page_names_is_there(page):
    """COMMANDS.md has the help of every command, so that their examples are held to it, too."""
    named = re.findall(r"rnnscope help ([a-z][\w-]*)", page.read_text(encoding="utf-8"))
    assert set(named) <= {*TOPICS, *TO_COPY, *COMMANDS}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        first = Path(scratch) / "first"
        first.mkdir()
        made = _first_trace(first)
        for number, page in enumerate(PAGES):
            place = Path(scratch) / str(number)
            place.mkdir()
            text = page.read_text("utf-8")
            page.write_text(refreshed(text, _prepare(place, made)), encoding="utf-8")
