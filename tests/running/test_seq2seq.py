"""Decoders: what they start from, what feeds them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import InputError, OptionError, UnsupportedCellError
from rnnscope.inputs import open_input
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.initial_state import ZERO_STATE, InitialState
from rnnscope.model.layers import Dense, Embedding, Merge, Unsupported
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running import plan_run, run_plan
from rnnscope.running.decoding import DECODER_INPUT, Decoding
from rnnscope.running.runner import RunSettings
from rnnscope.trace import Trace, TraceHeader, TraceWriter

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 6, 4)).astype(np.float32)
Y = RNG.normal(size=(3, 5, 4)).astype(np.float32)
LENGTHS = "6,2,1"
VARIABLES = {
    "w": RNG.normal(size=(4, 4)).astype(np.float32),
    "b": RNG.normal(size=4).astype(np.float32),
    "wide": RNG.normal(size=(4, 9)).astype(np.float32),
    "table": RNG.normal(size=(4, 4)).astype(np.float32),
}


FROM_ENCODER = InitialState.handed_over("cm", ["encoder"])


def lstm(features=4, units=4, *, seed=1, backward=False, origin="guess", **changes):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    tanh, none = Option("tanh", "graph"), Option(None, "graph")
    layer = RecurrentLayer(
        cell=CellSpec(
            "lstm",
            "LSTMCell",
            LSTMWeights(draw(features, 4 * units), draw(units, 4 * units), draw(4 * units)),
            LSTMOptions(Option(1.0, "graph"), tanh, Option("sigmoid", "graph"), tanh, none, none),
            (),
            "i g f o",
        ),
        backward=Option(backward, "graph"),
        padding=Option("zeros", "graph"),
        lengths=Option(LENGTHS_UNUSED, "graph"),
        initial_state=Option(ZERO_STATE, origin),
        state_format=Option("", "graph"),
        reversal="within length",
    )
    return replace(layer, **changes)


def node(name, layer, reads, wiring="guess"):
    return Node(name, layer, (reads,), wiring=wiring)


def read_variable(name):
    return VARIABLES[name]


class Case:
    """A network with two inputs, to be run with and without what flags say."""

    def __init__(self, folder, *nodes, inputs=("x", "y")):
        self.folder = folder
        self.checkpoint = Checkpoint(
            Path("m"), "test", "TensorFlow", (), Network(inputs, nodes), read_variable=read_variable
        )

    def plan(self, source, decoder_inputs=None, /, **flags):
        decoding = Decoding(source=decoder_inputs, **flags)
        return plan_run(self.checkpoint, source, decoding=decoding)

    def run(self, y=Y, *, x=X, lengths=None, settings=None, **flags):
        """The trace, opened."""
        files = {"x": self.folder / "x.npy", "y": self.folder / "y.npy"}
        for name, array in (("x", x), ("y", y)):
            np.save(files[name], array)
        path = self.folder / "trace.h5"
        with open_input(files["x"], lengths=lengths) as source, open_input(files["y"]) as decoder:
            plan = self.plan(source, decoder, **flags)
            self.notes = plan.notes

            def open_writer(layers, lengths, has_mask, _engine):
                return TraceWriter(
                    path, TraceHeader(), layers, source.sequences, source.timesteps,
                    has_lengths=lengths is not None, has_mask=has_mask, force=True,
                )  # fmt: skip

            self.result = run_plan(plan, source, open_writer, settings or RunSettings())
        return Trace.open(path)


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


ENCODER = lstm(seed=1)
DECODER = lstm(seed=2, initial_state=Option(FROM_ENCODER, "graph"))
PAIR = (node("encoder", ENCODER, "x", "graph"), node("decoder", DECODER, "y", "graph"))


@pytest.mark.parametrize("y", [Y, RNG.normal(size=(3, 6, 4)).astype(np.float32)])
def test_a_decoder_has_a_time_of_its_own(tmp_path, y):
    """Also where it takes as many steps as the encoder: its lengths are not the encoder's."""
    mask = np.arange(6) < np.array([[6], [2], [1]])
    with Case(tmp_path, *PAIR).run(y, lengths=LENGTHS) as trace:
        encoder = run_layer(ENCODER, X, mask)
        decoder = run_layer(DECODER, y, None, encoder.final)
        read = trace.read_layer("decoder")
        close(read.states.c, decoder.c)
        close(read.states.outputs, decoder.outputs)
        assert read.lengths is None
        assert read.mask is None
        assert trace.layer("decoder").own_time
        assert trace.layer("decoder").initial_from == ("encoder",)
        given = trace.read_states("encoder").final
        for state in "cm":
            assert np.array_equal(read.states.initial[state], given[state])
            last = trace.read_states("encoder").states[state][np.arange(3), [5, 1, 0]]
            assert np.array_equal(given[state], last)


def test_no_sequence_is_handed_anothers_state(tmp_path):
    case = Case(tmp_path, *PAIR)
    with case.run() as trace:
        together = trace.read_states("decoder").c
    for row in range(3):
        with case.run(Y[row : row + 1], x=X[row : row + 1]) as trace:
            close(trace.read_states("decoder").c, together[row : row + 1])


LOOPS = {
    "identity": lambda output: output,
    "linear:w,b": lambda output: output @ VARIABLES["w"] + VARIABLES["b"],
    "linear:w": lambda output: output @ VARIABLES["w"],
    "argmax:table": lambda output: VARIABLES["table"][output.argmax(-1)],
    "argmax:w,b,table": lambda output: VARIABLES["table"][
        (output @ VARIABLES["w"] + VARIABLES["b"]).argmax(-1)
    ],
}


def by_hand(layers, x, finals, loop, steps):
    """A stack of layers, one step at a time; what it read, and the states of its last layer."""
    states, read, kept = list(finals), [], []
    for _ in range(steps):
        read.append(x)
        for number, layer in enumerate(layers):
            made = run_layer(layer, x, None, states[number])
            states[number], x = made.final, made.outputs
        kept.append(made.c)
        x = loop(x)
    return np.concatenate(read, 1), np.concatenate(kept, 1)


@pytest.mark.parametrize("steps", [None, 9])
@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_function_makes_the_next_input(tmp_path, text, steps):
    with Case(tmp_path, *PAIR).run(loop_function=text, steps=steps, lengths=LENGTHS) as trace:
        final = trace.read_states("encoder").final
        read, c = by_hand([DECODER], Y[:, :1], [final], LOOPS[text], steps or 5)
        states = trace.read_states("decoder")
        close(states.inputs, read)
        close(states.c, c)
        assert trace.layer("decoder").options["loop_function"] == (text, "flag")


def test_gates_and_slices_of_a_loop(tmp_path, monkeypatch):
    from rnnscope.running.memory import SliceSize

    case = Case(tmp_path, *PAIR)
    with case.run(loop_function="linear:w,b", settings=RunSettings(gates=True)) as trace:
        whole = trace.read_states("decoder")
    assert whole.gates["i"].shape == (3, 5, 4)
    monkeypatch.setattr("rnnscope.running.runner.choose_slices", lambda *_, **__: SliceSize(1, 6))
    with case.run(loop_function="linear:w,b") as trace:
        close(trace.read_states("decoder").c, whole.c)
        close(trace.read_states("decoder").inputs, whole.inputs)


def test_a_stack_feeds_back_its_last_layer(tmp_path):
    upper = lstm(seed=6, initial_state=Option(FROM_ENCODER, "graph"))
    top = Node("upper", upper, ("dense",), wiring="graph")
    dense = Node("dense", Dense(VARIABLES["w"]), ("decoder",))
    with Case(tmp_path, *PAIR, dense, top).run(loop_function="linear:w,b") as trace:
        final = trace.read_states("encoder").final
        states, x, read = [final, final], Y[:, :1], []
        for _ in range(5):
            read.append(x)
            first = run_layer(DECODER, x, None, states[0])
            second = run_layer(upper, first.outputs @ VARIABLES["w"], None, states[1])
            states, x = [first.final, second.final], LOOPS["linear:w,b"](second.outputs)
        close(trace.read_states("decoder").inputs, np.concatenate(read, 1))
        close(trace.read_states("upper").final["c"], states[1]["c"])


def test_what_reads_the_decoders_input_too_reads_that_of_the_step(tmp_path):
    """A residual connection within the loop: x of each step is added to its output."""
    both = Node("both", Merge("Add"), ("decoder", "y"))
    upper = lstm(seed=6, initial_state=Option(FROM_ENCODER, "graph"))
    top = Node("upper", upper, ("both",), wiring="graph")
    with Case(tmp_path, *PAIR, both, top).run(loop_function="linear:w,b") as trace:
        final = trace.read_states("encoder").final
        states, x, read = [final, final], Y[:, :1], []
        for _ in range(5):
            read.append(x)
            first = run_layer(DECODER, x, None, states[0])
            second = run_layer(upper, first.outputs + x, None, states[1])
            states, x = [first.final, second.final], LOOPS["linear:w,b"](second.outputs)
        close(trace.read_states("decoder").inputs, np.concatenate(read, 1))
        close(trace.read_states("upper").final["c"], states[1]["c"])


def test_two_directions_side_by_side_by_width(tmp_path):
    both = [node(name, lstm(seed=seed, backward=backward), "x")
            for name, seed, backward in (("enc/fw", 1, False), ("enc/bw", 2, True))]  # fmt: skip
    wide = node("dec", lstm(units=8, seed=3), "y")
    with Case(tmp_path, *both, wide).run(encoder="enc", decoder="dec", lengths=LENGTHS) as trace:
        finals = [trace.read_states(name).final for name in ("enc/fw", "enc/bw")]
        for state in "cm":
            joined = np.concatenate([final[state] for final in finals], axis=1)
            assert np.array_equal(trace.read_states("dec").initial[state], joined)
        assert trace.layer("dec").initial_join == "concat"
        assert trace.layer("dec").options["initial_state"][1] == "flag"
    narrow = node("dec", lstm(seed=3), "y")
    case = Case(tmp_path, *both, narrow)
    with pytest.raises(OptionError, match="does not fit the decoder") as caught:
        case.run(encoder="enc", decoder="dec")
    assert "direction" in caught.value.hint
    with case.run(encoder="enc/bw", decoder="dec") as trace:
        assert trace.layer("dec").initial_from == ("enc/bw",)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        ("basic_rnn_seq2seq/rnn/lstm_cell", "basic_rnn_seq2seq/rnn_decoder/lstm_cell"),
        ("embedding_rnn_seq2seq/RNN/LSTMCell",
         "embedding_rnn_seq2seq/embedding_rnn_decoder/rnn_decoder/LSTMCell"),
        ("encoder_lstm", "decoder_lstm"),
        ("lstm", "dec"),
    ],
)  # fmt: skip
def test_names_tell_a_decoder_where_nothing_else_does(tmp_path, encoder, decoder):
    """Both read the same input as far as a weights file tells."""
    case = Case(tmp_path, node(encoder, lstm(seed=1), "x"), node(decoder, lstm(seed=2), "x"))
    with case.run() as trace:
        header = trace.layer(decoder)
        assert header.initial_from == (encoder,)
        assert header.options["initial_state"][1] == "guess"
        assert header.inputs == (DECODER_INPUT,)
        expected = run_layer(lstm(seed=2), Y, None, trace.read_states(encoder).final)
        close(trace.read_states(decoder).c, expected.c)
    assert any("by its name" in note for note in case.notes)


def test_a_guessed_stack_becomes_a_decoder(tmp_path):
    case = Case(tmp_path, node("rnn/a", lstm(), "x"), node("rnn_decoder/a", lstm(seed=2), "rnn/a"))
    with case.run() as trace:
        assert trace.layer("rnn_decoder/a").inputs == (DECODER_INPUT,)


def test_flags_need_override_against_the_file(tmp_path):
    other = node("other", lstm(seed=5), "x", "graph")
    case = Case(tmp_path, other, *PAIR)
    with pytest.raises(OptionError, match="contradict the file"):
        case.run(encoder="other", decoder="decoder")
    with case.run(encoder="other", decoder="decoder", insist=True) as trace:
        assert trace.layer("decoder").initial_from == ("other",)
    with case.run(encoder="encoder", decoder="decoder") as trace:
        assert trace.layer("decoder").initial_from == ("encoder",)


def test_a_loop_function_of_the_file_needs_override(tmp_path):
    case = Case(tmp_path, *PAIR)
    with case.run(loop_function="linear:w,b") as trace:
        looped = trace.read_states("decoder").c
    fed = case.plan(*sources(tmp_path), loop_function="linear:w,b").layers[1]
    stated = replace(fed.layer.feedback, option=Option("linear:w,b", "graph", "loop/add"))
    fed = replace(fed, layer=replace(fed.layer, feedback=stated))
    case = Case(tmp_path, PAIR[0], fed)
    with case.run() as trace:
        assert np.array_equal(trace.read_states("decoder").c, looped)
    with pytest.raises(OptionError, match="loop_function contradicts") as caught:
        case.run(loop_function="none")
    assert "loop/add" in caught.value.where
    with case.run(loop_function="none", insist=True) as trace:
        assert not np.array_equal(trace.read_states("decoder").c, looped)


def sources(folder):
    return open_input(folder / "x.npy"), open_input(folder / "y.npy")


# What is refused


def unfit(message, **flags):
    return pytest.param(flags, message, id=message)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        unfit("does not understand", loop_function="square"),
        unfit("does not understand", loop_function="linear"),
        unfit("names a variable that is not there", loop_function="linear:nothing,b"),
        unfit("does not fit what the decoder reads", loop_function="linear:wide"),
        unfit("of the loop function does not fit", loop_function="linear:b,w"),
        unfit("of the loop function does not fit", loop_function="linear:w,wide"),
        unfit("no decoder makes its own inputs", steps=3),
        unfit("encoder names no recurrent layer", encoder="nobody"),
        unfit("decoder names no recurrent layer", decoder="decod"),
        unfit("both encoder and decoder", encoder="encoder", decoder="*"),
    ],
)
def test_flags_that_mean_nothing(tmp_path, flags, message):
    with pytest.raises(OptionError, match=message):
        Case(tmp_path, *PAIR).run(**flags)


def test_inputs_that_do_not_fit(tmp_path):
    case = Case(tmp_path, *PAIR)
    with pytest.raises(InputError, match="not as many sequences"):
        case.run(Y[:2])
    with pytest.raises(InputError, match="do not fit the decoder") as caught:
        case.run(Y[..., :3])
    assert "4 features" in caught.value.expected


def test_no_layer_is_a_decoder(tmp_path):
    case = Case(tmp_path, node("a", lstm(), "x"), node("b", lstm(seed=2), "a"))
    with pytest.raises(OptionError, match="Nothing in the file says which layer is the decoder"):
        case.run()


def test_different_numbers_of_layers(tmp_path):
    layers = [node(name, lstm(seed=number), "x") for number, name in enumerate("abc")]
    with pytest.raises(OptionError, match="different numbers of layers"):
        Case(tmp_path, *layers).run(encoder="a", decoder="[bc]")


def test_without_its_inputs_a_decoder_is_not_run(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with open_input(tmp_path / "x.npy") as source:
        plan = Case(tmp_path, *PAIR).plan(source)
    assert [one.name for one in plan.layers] == ["encoder"]
    assert "(decoder_inputs)" in " ".join(plan.notes)


def test_without_its_encoder_a_decoder_is_not_run(tmp_path):
    """It would start from zeros without a word."""
    stand_in = Node("front", Unsupported("Conv1D", "front"), ("x",))
    front = Node("encoder", lstm(7, seed=1), ("front",))
    case = Case(tmp_path, stand_in, front, PAIR[1])
    with pytest.raises(InputError, match="wrong number of features") as caught:
        case.run()
    assert caught.value.expected == "7 (layer 'encoder')"


@pytest.mark.parametrize("kind", ["attention", "loop function"])
def test_a_stand_in_for_its_own_output_is_no_input(tmp_path, kind):
    stand_in = Node("stand-in", Unsupported(kind, "stand-in", f"it is {kind}"), ("z",))
    decoder = Node("decoder", DECODER, ("stand-in",), wiring="graph")
    case = Case(tmp_path, PAIR[0], stand_in, decoder)
    with pytest.raises(OptionError) as caught:
        case.run()
    assert kind in caught.value.hint
    with case.run(loop_function="identity") as trace:
        assert trace.layer("decoder").inputs == (DECODER_INPUT,)


def test_a_backward_layer_has_no_loop(tmp_path):
    backward = replace(DECODER, backward=Option(True, "graph"))
    case = Case(tmp_path, PAIR[0], replace(PAIR[1], layer=backward))
    with pytest.raises(UnsupportedCellError, match="all timesteps at once"):
        case.run(loop_function="identity")


def test_a_loop_has_no_layer_that_joins_steps(tmp_path):
    joined = Node("joined", Merge("Concatenate", axis=1), ("decoder", "decoder"))
    upper = lstm(seed=6, initial_state=Option(FROM_ENCODER, "graph"))
    case = Case(tmp_path, *PAIR, joined, Node("upper", upper, ("joined",), wiring="graph"))
    with pytest.raises(UnsupportedCellError, match="all timesteps at once") as caught:
        case.run(loop_function="identity")
    assert "'joined'" in caught.value.where


def test_an_encoder_that_needs_its_decoder(tmp_path):
    case = Case(tmp_path, node("dec", lstm(seed=2), "x"), node("enc", lstm(seed=1), "dec"))
    with pytest.raises(OptionError, match="needs the decoder") as caught:
        case.run(encoder="enc", decoder="dec")
    assert caught.value.found == "'dec' needs 'enc' needs 'dec'"


def test_a_decoder_is_not_cut_in_time(tmp_path):
    case = Case(tmp_path, *PAIR)
    with pytest.raises(InputError, match="memory budget"):
        case.run(x=np.zeros((3, 200, 4), np.float32), settings=RunSettings(memory=1))


def test_ids_of_a_decoder_go_through_its_own_embedding(tmp_path):
    table = RNG.normal(size=(7, 4)).astype(np.float32)
    ids = RNG.integers(0, 7, (3, 5))
    nodes = (
        Node("enc_table", Embedding(table), ("x",)),
        Node("encoder", ENCODER, ("enc_table",)),
        Node("dec_table", Embedding(-table), ("y",)),
        Node("decoder", DECODER, ("dec_table",)),
    )
    case = Case(tmp_path, *nodes)
    np.save(tmp_path / "x.npy", ids)
    np.save(tmp_path / "y.npy", ids[:, :3])
    with (
        open_input(tmp_path / "x.npy", ids=True) as source,
        open_input(tmp_path / "y.npy", ids=True) as decoder,
    ):
        plan = case.plan(source, decoder)
    assert plan.entries == {"x"}
    assert plan.decoder_entries == {"y"}
