"""Who wins where a flag and a file both speak of an option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnscope.errors import OptionError, Spelling, UnsupportedCellError, spell_as
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running import LayerOptions, override_options
from rnnscope.running.overrides import ValuesByLayer


def make_layer(origin="graph", proj=None, **options):
    values = {
        "forget_bias": 1.0,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": "tanh",
        "cell_clip": None,
        "proj_clip": None,
        **options,
    }
    cell = CellSpec(
        kind="lstm",
        source_class="LSTMCell",
        weights=LSTMWeights(
            np.zeros((3, 16)),
            np.zeros((proj or 4, 16)),
            np.zeros(16),
            projection=np.zeros((4, proj)) if proj else None,
        ),
        options=LSTMOptions(
            **{name: Option(value, origin, f"node/{name}") for name, value in values.items()}
        ),
        variables=(),
        stored_gate_order="i g f o",
    )
    return RecurrentLayer(
        cell=cell,
        backward=Option(False, origin),
        padding=Option("zeros", origin),
        lengths=Option(LENGTHS_UNUSED, origin),
        initial_state=Option(ZERO_STATE, origin),
        state_format=Option("", origin),
    )


def network(*layers):
    return Network(("x",), tuple(Node(f"rnn/{n}", layer, ("x",)) for n, layer in enumerate(layers)))


def flags(**given):
    """`forget_bias=0.5` for all layers; `forget_bias={"rnn/1": 0.5}` for some."""
    return LayerOptions(
        **{
            name: ValuesByLayer(
                tuple(value.items()) if isinstance(value, dict) else (("*", value),)
            )
            for name, value in given.items()
        }
    )


def options(network, number=0):
    return network.nodes[number].layer.cell.options


@pytest.mark.parametrize("origin", ["graph", "config"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("forget_bias", 0.5),
        ("activation", "relu"),
        ("recurrent_activation", "hard_sigmoid"),
        ("cell_clip", 3.0),
        ("padding", "hold"),
        ("backward", True),
    ],
)
def test_what_the_file_states_gives_way_only_to_override(origin, option, value):
    net = network(make_layer(origin))
    with pytest.raises(OptionError) as error:
        override_options(net, flags(**{option: value}))
    assert error.value.what == f"{option} contradicts the file."
    assert "rnn/0" in error.value.where
    assert origin in error.value.expected
    assert "override" in error.value.hint
    layer = override_options(net, flags(**{option: value}), insist=True).nodes[0].layer
    chosen = getattr(layer, option, None) or getattr(layer.cell.options, option)
    assert chosen == Option(value, "flag", option)


@pytest.mark.parametrize("origin", ["class default", "guess"])
def test_a_default_or_guess_gives_way_to_a_flag(origin):
    changed = override_options(network(make_layer(origin)), flags(forget_bias=0.5))
    assert options(changed).forget_bias == Option(0.5, "flag", "forget_bias")
    assert options(changed).activation.origin == origin


def test_saying_what_the_file_says_changes_nothing():
    net = network(make_layer())
    changed = override_options(net, flags(forget_bias=1.0, activation="tanh", padding="zeros"))
    assert options(changed).forget_bias.origin == "graph"
    assert changed.nodes[0].layer.padding.origin == "graph"


def test_no_flags_no_change():
    net = network(make_layer())
    assert override_options(net, LayerOptions()) is net


def test_an_activation_is_that_of_the_candidate_and_of_c():
    changed = override_options(network(make_layer("guess")), flags(activation="relu"))
    assert options(changed).activation.value == options(changed).output_activation.value == "relu"
    assert options(changed).recurrent_activation.value == "sigmoid"


def test_a_flag_for_one_layer_leaves_the_others():
    net = network(make_layer("guess"), make_layer("guess"))
    changed = override_options(net, flags(forget_bias={"rnn/1": 0.5}))
    assert [options(changed, n).forget_bias.value for n in (0, 1)] == [1.0, 0.5]


def test_of_several_patterns_the_last_that_fits_wins():
    net = network(make_layer("guess"), make_layer("guess"))
    changed = override_options(net, flags(forget_bias={"*": 0.5, "*/0": 0.25}))
    assert [options(changed, n).forget_bias.value for n in (0, 1)] == [0.25, 0.5]


def test_a_pattern_that_fits_no_layer_lists_the_layers():
    with pytest.raises(OptionError) as error:
        override_options(network(make_layer()), flags(forget_bias={"decoder*": 0.5}))
    assert error.value.expected == "one of rnn/0"
    assert error.value.found == "decoder*"


def test_names_of_the_files_framework_are_translated():
    """Keras 3 calls another function hard_sigmoid."""
    changed = override_options(
        network(make_layer("guess")),
        flags(recurrent_activation="hard_sigmoid"),
        dialect_names={"hard_sigmoid": "hard_sigmoid_keras3"},
    )
    assert options(changed).recurrent_activation.value == "hard_sigmoid_keras3"


def test_an_unknown_activation():
    with pytest.raises(UnsupportedCellError) as error:
        override_options(network(make_layer("guess")), flags(activation="tangent"))
    assert error.value.found == "tangent"


def test_a_projection_clip_needs_a_projection():
    with pytest.raises(OptionError, match="projection"):
        override_options(network(make_layer("guess")), flags(proj_clip=0.5))
    changed = override_options(network(make_layer("guess", proj=2)), flags(proj_clip=0.5))
    assert options(changed).proj_clip.value == 0.5


def test_another_class_brings_its_defaults_where_nothing_is_stated():
    net = network(make_layer("class default"))
    changed = override_options(net, flags(cell="CudnnCompatibleLSTMCell"))
    assert changed.nodes[0].layer.cell.source_class == "CudnnCompatibleLSTMCell"
    assert options(changed).forget_bias.value == 0.0
    assert options(changed).forget_bias.origin == "class default"


def test_another_class_does_not_undo_a_flag():
    net = network(make_layer("class default"))
    changed = override_options(net, flags(cell="CudnnCompatibleLSTMCell", forget_bias=0.3))
    assert options(changed).forget_bias == Option(0.3, "flag", "forget_bias")


def test_another_class_contradicts_what_the_graph_states():
    net = network(make_layer("graph"))
    with pytest.raises(OptionError, match="cell contradicts the file"):
        override_options(net, flags(cell="CudnnCompatibleLSTMCell"))
    changed = override_options(net, flags(cell="CudnnCompatibleLSTMCell"), insist=True)
    assert options(changed).forget_bias == replace(options(changed).forget_bias, value=0.0)
    assert options(changed).forget_bias.origin == "flag"


def test_values_by_layer():
    values = ValuesByLayer((("*", 0.5), ("rnn/*", 1.0)))
    assert values.of("rnn/x") == (1.0,)
    assert values.of("other") == (0.5,)
    assert ValuesByLayer((("rnn/*", None),)).of("rnn/x") == (None,)
    assert ValuesByLayer((("rnn/*", 1.0),)).of("other") == ()


def test_which_layers_read_from_the_end():
    net = network(make_layer("guess"), make_layer("guess"))
    changed = override_options(net, flags(backward={"rnn/1": True}))
    assert [node.layer.backward.value for node in changed.nodes] == [False, True]
    assert changed.nodes[1].layer.backward == Option(True, "flag", "backward")
    with pytest.raises(OptionError, match="names a layer that is not there"):
        override_options(net, flags(backward={"other": True}))


def test_a_surface_spells_the_options():
    spell_as(Spelling(option=lambda name, value: f"<{name}>"))
    try:
        with pytest.raises(OptionError) as error:
            override_options(network(make_layer()), flags(go_backwards=True))
        changed = override_options(network(make_layer()), flags(go_backwards=True), insist=True)
    finally:
        spell_as()
    assert error.value.what == "<go_backwards> contradicts the file."
    assert changed.nodes[0].layer.backward == Option(True, "flag", "<go_backwards>")
