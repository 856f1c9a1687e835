"""A plan and its input, looked through: what every slice of a run is computed from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.inputs import InputBatch, InputSource
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import (
    FinalState,
    GivenState,
    StoredState,
    join_state,
)
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.resets import Resets, due_resets
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerFacts
from rnnscope.running.plan import Plan
from rnnscope.trace import LayerHeader


@dataclass(frozen=True, eq=False)
class Prepared:
    """A plan and its input, looked through before anything is computed.

    Attributes
    ----------
    plan : Plan
    source : InputSource
    shapes : dict of str to tuple
        The shape of each node's result for one sequence.
    masked_layers : frozenset of str
        The recurrent layers that are handed a mask.
    lengths : ndarray of int (sequence,) or None
        As given, or as the graph holds them.
    facts : dict of str to LayerFacts
    notes : dict of str to None
        Sentences, each once, in order; more may be added while the run goes on.
    """

    plan: Plan
    source: InputSource
    shapes: dict[str, tuple[int, ...]]
    masked_layers: frozenset[str]
    lengths: Array | None
    facts: dict[str, LayerFacts]
    notes: dict[str, None]

    @property
    def masked(self) -> bool:
        """Whether any layer is handed a mask."""
        return bool(self.masked_layers)

    @property
    def has_mask(self) -> bool:
        """Whether the trace keeps a mask: lengths alone say the same in fewer bytes."""
        # A mask of the decoder's own is of other steps than the input's.
        masked = bool(self.masked_layers - self.plan.decoding)
        return self.source.mask is not None or (masked and self.lengths is None)

    @property
    def decoder_steps(self) -> int:
        """How many steps decoders take that have inputs of their own."""
        source = self.plan.decoder_source
        return self.plan.decoder_steps or (0 if source is None else source.timesteps)

    @property
    def work(self) -> int:
        """Cell-steps of the whole run: sequence x timestep x unit, over all layers."""
        return sum(
            self.source.sequences * self.shapes[node.name][1] * node.recurrent.cell.num_units
            for node in self.plan.layers
            if node.recurrent
        )

    @property
    def steps(self) -> int:
        """Timesteps of single sequences, over all layers."""
        return sum(self.shapes[node.name][1] for node in self.plan.layers) * self.source.sequences

    def entry(self, batch: InputBatch, sequences: slice, steps: slice) -> Signal:
        """The run's input as what flows between nodes."""
        mask = batch.mask
        if self.lengths is not None and batch.lengths is None:
            start, stop, _ = steps.indices(self.source.timesteps)
            mask = np.arange(start, stop) < self.lengths[sequences][:, None]
        return Signal(batch.values, mask)

    def decoder_entry(self, sequences: slice) -> Signal:
        """The decoder inputs of some sequences; of a decoder with a loop, the first step."""
        source = self.plan.decoder_source
        assert source is not None
        looped = {node.name for loop in self.plan.loops for node in loop.nodes}
        alone = all(node.name in looped for node in self.plan.layers if self.plan.decodes(node))
        steps = slice(0, 1) if alone else slice(None)
        return Signal(source.read(sequences, steps).values)

    def handed_over(
        self, node: Node, final: Mapping[str, Mapping[str, Array]]
    ) -> Mapping[str, Array] | None:
        """The final states of other layers, joined, that a layer starts from; None if of none.

        Parameters
        ----------
        node : Node
        final : mapping of str to mapping of str to ndarray (sequence, width)
            Final states by layer and state, of the layers that were run before.
        """
        layer = node.recurrent
        assert layer is not None
        joined = {
            state: join_state([final[name][state] for name in part.layers], part.join)
            for state, part in layer.initial_state.value.parts.items()
            if isinstance(part, FinalState) and final.keys() >= {*part.layers}
        }
        return joined or None

    def initial(
        self,
        node: Node,
        batch: InputBatch,
        sequences: slice,
        final: Mapping[str, Mapping[str, Array]],
    ) -> dict[str, Array]:
        """The state of a layer before its first step, as far as it is not zero."""
        layer = node.recurrent
        assert layer is not None
        initial: dict[str, Array] = {}
        for state, part in layer.initial_state.value.parts.items():
            if isinstance(part, StoredState) and part.fits(self.source.sequences):
                initial[state] = part.rows(sequences)
            elif isinstance(part, GivenState):
                initial[state] = batch.initial[part.key][state]
        return initial | dict(self.handed_over(node, final) or {})

    def resets(
        self,
        layer: RecurrentLayer,
        marked: Array | None,
        mask: Array | None,
        begun: Mapping[str, Array],
        pending: Array | None = None,
    ) -> tuple[Resets | None, Array | None]:
        """Where the state of a layer is reset, and which sequences still wait for it.

        Parameters
        ----------
        layer : RecurrentLayer
        marked : ndarray of bool (sequence, timestep) or None
            Of the timesteps that are run, as the input has them.
        mask : ndarray of bool (sequence, timestep) or None
            Of the same timesteps.
        begun : mapping of str to ndarray (sequence, width)
            The state before the first step of the whole run, as far as it is not zero.
        pending : ndarray of bool (sequence,), optional
            What the timesteps before left waiting.
        """
        if marked is None:
            return None, None
        counts = None if layer.padding.value == "none" else mask
        due, waiting = due_resets(marked, counts, pending)
        return Resets(due, begun if self.source.reset_state == "initial" else {}), waiting

    def has_group(self, node: Node) -> bool:
        """Whether a node has a group in the trace: recurrent ones, and merges of directions."""
        if isinstance(node.layer, RecurrentLayer):
            return True
        return node.layer.joins_directions and len(self.shapes[node.name]) == 3

    def _outputs_are_m(self, node: Node, layer: RecurrentLayer) -> bool:
        """Whether outputs and m are the same array by rule, and so are kept once."""
        # Layers of one source are told apart from none: a mask reaches all that read it.
        others = self.masked_layers & self.plan.decoding
        masked = others if self.plan.decodes(node) else self.masked_layers - others
        padded = bool(masked) and layer.padding.value != "none"
        return layer.outputs_in_input_order and not padded and layer.returns_m

    def header(self, node: Node, *, gates: bool) -> LayerHeader:
        """What the trace says of a node."""
        shape = self.shapes[node.name]
        decodes = self.plan.decodes(node)
        steps = None if shape[1] == self.source.timesteps and not decodes else shape[1]
        layer = node.layer
        if not isinstance(layer, RecurrentLayer):
            first = self.plan.layers[0].recurrent
            assert first is not None
            return LayerHeader(
                node.name, shape[2], timesteps=steps, inputs=node.listed_inputs, wiring=node.wiring,
                dtype=first.cell.dtype.name, own_time=decodes,
            )  # fmt: skip
        cell = CELLS[layer.cell.kind]
        options = {name: (option.value, option.origin) for name, option in layer.options()}
        start = layer.initial_state.value
        fed_back = any(loop.first.name == node.name for loop in self.plan.loops)
        return LayerHeader(
            name=node.name,
            output_size=shape[2],
            widths=cell.widths(layer.cell),
            dtype=layer.cell.dtype.name,
            timesteps=steps,
            gates=cell.gates if gates else (),
            facts=self.facts[node.name],
            outputs_are_m=self._outputs_are_m(node, layer),
            initial_from=start.from_layers,
            initial_join=start.join or "",
            initial_states=start.handed_states,
            initial_given=start.given_states,
            projected=layer.cell.num_proj is not None,
            own_time=decodes,
            input_size=layer.cell.input_size if fed_back else None,
            options=options,
            source_class=layer.cell.source_class,
            stored_gate_order=layer.cell.stored_gate_order,
            wiring=node.wiring,
            evidence=str(layer.evidence),
            variables=layer.cell.variables,
            inputs=node.listed_inputs,
            reads_input=node.name in self.plan.from_input,
        )
