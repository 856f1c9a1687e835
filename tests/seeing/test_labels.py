"""Tokens: which step each belongs to, and what does not fit is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.errors import InputError
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.seeing import input_labels, open_view, read_labels
from rnnscope.trace import Trace, TraceHeader

LETTERS = tuple("abcdefghijkl")


@pytest.fixture
def trace(tmp_path):
    with Trace.open(write_trace(tmp_path / "t.h5", lengths=[12, 7, 3])) as opened:
        yield opened


def test_a_token_a_line_is_that_step_of_every_sequence(tmp_path, trace):
    (tmp_path / "tokens.txt").write_text("\n".join(LETTERS) + "\n")
    labels = read_labels(str(tmp_path / "tokens.txt"))
    view = open_view(trace)
    assert labels.of(view, 0) == labels.of(view, 2) == LETTERS
    assert labels.of(view.select("3:6"), 0) == ("d", "e", "f")


def test_a_sequence_a_line_has_its_own_tokens(tmp_path, trace):
    lines = [" ".join(LETTERS), "p q r s t u v", "x y z"]
    (tmp_path / "tokens.txt").write_text("\n".join(lines))
    labels = read_labels(str(tmp_path / "tokens.txt"))
    assert labels.of(open_view(trace), 1) == (*"pqrstuv", *[""] * 5)


def test_json_and_npz_hold_texts_with_blanks(tmp_path, trace):
    rows = [[f"<{n} {k}>" for n in range(12)] for k in range(3)]
    (tmp_path / "tokens.json").write_text(json.dumps(rows))
    np.savez(tmp_path / "x.npz", tokens=np.array(rows), bytes=np.array([b"\xc3\xa4"] * 12))
    for spec in ("tokens.json", "x.npz::tokens"):
        assert read_labels(str(tmp_path / spec)).of(open_view(trace), 1) == tuple(rows[1])
    assert read_labels(str(tmp_path / "x.npz::bytes")).of(open_view(trace), 1) == ("ä",) * 12


def test_what_could_steer_a_terminal_is_left_out(tmp_path, trace):
    (tmp_path / "t.json").write_text(json.dumps(["\x1b[31mred\n"] * 12))
    assert read_labels(str(tmp_path / "t.json")).of(open_view(trace), 0)[0] == "[31mred "


@pytest.mark.parametrize(
    ("text", "sequence", "expected"),
    [
        ("a\nb", 0, "expected: 12 tokens for sequence 0\n  found: 2"),
        ("a\nb", 1, "expected: 12 tokens, or 7 for sequence 1\n  found: 2"),
        ("a b\nc d", 0, "expected: 3 sequences\n  found: 2"),
        ("", 0, "found: nothing"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(tmp_path, trace, text, sequence, expected):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(InputError) as error:
        read_labels(str(tmp_path / "t.txt")).of(open_view(trace), sequence)
    assert expected in str(error.value)


@pytest.mark.parametrize("name", ["none.txt", "x.npz::none", "x.npz::x", "bad.json", "latin.txt"])
def test_a_file_without_texts_is_refused(tmp_path, name):
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    (tmp_path / "bad.json").write_text('{"a": 1}')
    (tmp_path / "latin.txt").write_bytes(b"\xe4\xff")
    with pytest.raises(InputError, match="tokens cannot be read"):
        read_labels(str(tmp_path / name))


def test_the_input_s_own_texts_are_found_if_it_is_the_file_that_was_run(tmp_path):
    words = np.array([[f"w{n}" for n in range(12)]] * 3)
    x = tmp_path / "x.npz"
    np.savez(x, x=waves()["m"], words=words)
    recipe = json.dumps({"input": "elsewhere/x.npz::x"})
    header = TraceHeader(recipe=recipe, input="x.npz", input_sha256=files_sha256([x]))
    with Trace.open(write_trace(tmp_path / "t.h5", header=header)) as trace:
        labels = input_labels(trace)
        assert labels.source == "x.npz::words"
        assert labels.of(open_view(trace), 2) == tuple(words[2])
        np.savez(x, x=waves()["m"], words=np.flip(words))
        assert input_labels(trace) is None
        x.write_bytes(b"PK")
        assert input_labels(trace) is None
    with Trace.open(write_trace(tmp_path / "old.h5")) as trace:
        assert input_labels(trace) is None


def test_outputs_from_the_end_have_the_tokens_of_their_input(tmp_path):
    arrays = waves()
    arrays["outputs"] = arrays["m"][:, ::-1].copy()
    facts = {"backward": True, "reversal": "whole", "outputs_in_input_order": False}
    (tmp_path / "t.txt").write_text("\n".join(LETTERS))
    with Trace.open(write_trace(tmp_path / "t.h5", arrays, facts=facts)) as trace:
        labels = read_labels(str(tmp_path / "t.txt"))
        assert labels.of(open_view(trace, name="outputs"), 0) == LETTERS[::-1]
        assert labels.of(open_view(trace, name="m"), 0) == LETTERS
