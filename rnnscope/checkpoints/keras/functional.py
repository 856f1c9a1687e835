"""The wiring of a Functional model: which call of which layer reads which tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rnnscope.checkpoints.keras.bidirectional import RECURRENT_BUILDERS
from rnnscope.checkpoints.keras.calls.constants import ConstantArray
from rnnscope.checkpoints.keras.calls.inbound_nodes import (
    Call,
    StateArgument,
    TensorRef,
    read_calls,
    tensor_refs,
)
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.graph import Graph
from rnnscope.checkpoints.keras.layer_entry import LayerEntry, Scope, input_shape
from rnnscope.checkpoints.keras.layer_tensor import LayerTensor, StateTensor
from rnnscope.checkpoints.keras.layers import NOTHING_AT_INFERENCE
from rnnscope.checkpoints.keras.masks import MASK_OPERATIONS, mask_roots, only_for_masks
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.files.messages.json_config import ConfigView

MASK_USERS = frozenset({*RECURRENT_BUILDERS, "Softmax", "GlobalAveragePooling1D"})
"""Classes whose results a mask that they are given changes."""


def _kind_of_call(entry: LayerEntry) -> str:
    """What kind of layer a call is of, as `POSITIONS` has it."""
    if entry.is_operation:
        return "Operation"
    if entry.is_model:
        return "Model"
    if entry.class_name in NOTHING_AT_INFERENCE:
        return "Dropout"
    recurrent = entry.class_name in RECURRENT_BUILDERS and entry.class_name != "Bidirectional"
    return "RNN" if recurrent else entry.class_name


class TensorPlace(Protocol):
    """Adds one call of a layer to the graph and returns what it makes."""

    def __call__(
        self,
        entry: LayerEntry,
        scope: Scope,
        call: int,
        inputs: tuple[LayerTensor, ...],
        states: tuple[StateTensor, ...],
        *,
        spelt_mask: bool,
        arguments: Mapping[str, Any],
    ) -> tuple[LayerTensor, ...]: ...


@dataclass(eq=False)
class FunctionalModel:
    """One Functional model while its calls are placed."""

    config: ConfigView
    entries: dict[str, LayerEntry]
    scope: Scope
    dialect: Dialect
    graph: Graph
    place: TensorPlace

    def read(self) -> tuple[LayerTensor, ...]:
        """TensorPlace every call; returns the model's outputs."""
        self._place_inputs(tensor_refs(self.config.get("input_layers", list), self.config.where))
        for entry in self.entries.values():
            if entry.class_name != "InputLayer":
                where = f"{self.config.where} > layer '{entry.name}'"
                nodes = entry.view.raw("inbound_nodes", [])
                entry.calls = read_calls(nodes, where, _kind_of_call(entry))
        outputs = tensor_refs(self.config.raw("output_layers", []), self.config.where)
        self._number_calls(outputs)
        self._place_all(self._mask_operations(outputs))
        return tuple(self._must_find(self._renumbered(ref)) for ref in outputs)

    def _place_inputs(self, refs: list[TensorRef]) -> None:
        given = self.scope.given
        missing = [ref.layer for ref in refs if ref.layer not in self.entries]
        if missing or not refs or (given is not None and len(given) < len(refs)):
            raise CheckpointError(
                "The model's configuration does not say what its inputs are.",
                where=self.config.where,
                expected="input_layers: layers of the model, one for each tensor it is called on",
                found=f"no layer '{missing[0]}'" if missing else f"{len(refs)} input layers",
            )
        for number, ref in enumerate(refs):
            entry = self.entries[ref.layer]
            tensor = (
                self.graph.add_input(ref.layer, self.config.where, input_shape(entry.view))
                if given is None
                else given[number]
            )
            self.entries[ref.layer].outputs.append((tensor,))

    def _number_calls(self, outputs: Sequence[TensorRef]) -> None:
        """Keras 1 and 2 count a nested model's own making as its call 0."""
        refs = [
            ref for entry in self.entries.values() for call in entry.calls for ref in call.tensors
        ]
        called: dict[str, set[int]] = {}
        for ref in (*refs, *outputs):
            called.setdefault(ref.layer, set()).add(ref.call)
        for entry in self.entries.values():
            numbers = called.get(entry.name, set())
            if entry.is_model and self.dialect.number < (3,) and numbers and 0 not in numbers:
                entry.offset = 1

    def _mask_operations(self, outputs: Sequence[TensorRef]) -> frozenset[str]:
        """The operations that only compute masks, which the layers here make themselves."""
        readers: dict[str, set[str]] = {ref.layer: {""} for ref in outputs}
        for entry in self.entries.values():
            for call in entry.calls:
                for ref in (*call.inputs, *call.state_refs):
                    readers.setdefault(ref.layer, set()).add(entry.name)
        known = MASK_OPERATIONS[self.dialect.mask_rule]
        candidates = [
            entry.name
            for entry in self.entries.values()
            if entry.is_operation and entry.class_name in known
        ]
        return only_for_masks(candidates, lambda name: readers.get(name, ()))

    def _place_all(self, left_out: frozenset[str]) -> None:
        """TensorPlace every call once the tensors it reads are there, as Keras itself does."""
        waiting = [e for e in self.entries.values() if e.calls and e.name not in left_out]
        while waiting:
            before = sum(entry.calls_left for entry in waiting)
            waiting = [entry for entry in waiting if not self._place_ready(entry)]
            if waiting and sum(entry.calls_left for entry in waiting) == before:
                raise CheckpointError(
                    "Layers of the model read each other in a circle, or calls that never happen.",
                    where=self.config.where,
                    expected="layers that read earlier ones",
                    found=", ".join(f"'{entry.name}'" for entry in waiting[:5]),
                    hint="The file is damaged or was edited; save the model again.",
                )

    def _place_ready(self, entry: LayerEntry) -> bool:
        """TensorPlace the calls of one layer that can be; True when all are."""
        check_time(self.config.where, CheckpointError)
        while entry.calls_left > 0:
            call = entry.calls[len(entry.outputs)]
            inputs, states = self._find_all(call.inputs), self._find_states(call.states)
            if inputs is None or states is None:
                return False
            if entry.is_model or entry.class_name in MASK_USERS:
                inputs = self._masked(entry, call, inputs)
            number = len(entry.outputs)
            outputs = self.place(
                entry,
                self.scope,
                number,
                inputs,
                states,
                spelt_mask=bool(call.mask) or call.stored_mask is not None,
                arguments=call.arguments,
            )
            entry.outputs.append(outputs)
        return True

    def _masked(
        self, entry: LayerEntry, call: Call, inputs: tuple[LayerTensor, ...]
    ) -> tuple[LayerTensor, ...]:
        """The inputs with the mask that a call spells out, or without one that it does not get."""
        if call.mask:
            return self._with_mask(entry, call.mask[0], inputs)
        if not inputs:
            return inputs
        stored = None if call.stored_mask is None else call.stored_mask.values
        if stored is not None and (stored.ndim != 2 or entry.class_name not in RECURRENT_BUILDERS):
            reason = f"applies a constant mask of shape {stored.shape}, which is not computed"
            return self._mask_stand_in(entry, reason, inputs)
        if stored is None and not (
            self.dialect.number >= (3,) and self.graph.has_stored_mask(inputs[0])
        ):
            return inputs
        # Keras 3 states at each call which mask is given, and so that none is.
        mask = None if stored is None else stored.astype(bool)
        name = self._mask_name(entry)
        masked = self.graph.add_mask(name, mask, inputs[0], self.config.where)
        return (masked, *inputs[1:])

    def _mask_name(self, entry: LayerEntry) -> str:
        call = len(entry.outputs)
        number = f" {call + 1}" if call else ""
        return f"{self.scope.prefix}{entry.name}{self.scope.suffix}[mask{number}]"

    def _mask_stand_in(
        self, entry: LayerEntry, reason: str, inputs: tuple[LayerTensor, ...]
    ) -> tuple[LayerTensor, ...]:
        name, where = self._mask_name(entry), self.config.where
        stand_in = self.graph.add_stand_in(name, "mask", reason, (inputs[0].node,), where)
        return (stand_in, *inputs[1:])

    def _with_mask(
        self, entry: LayerEntry, mask: TensorRef, inputs: tuple[LayerTensor, ...]
    ) -> tuple[LayerTensor, ...]:
        """The inputs as they are if they bring the very mask that the file spells out."""
        roots = mask_roots(mask, self._operation, self._node_of, self.dialect.mask_rule)
        if not inputs or roots == self.graph.mask_roots(inputs[0]):
            return inputs
        reason = f"applies the mask that '{mask.layer}' computes, which rnnscope does not"
        return self._mask_stand_in(entry, reason, inputs)

    def _operation(self, name: str) -> tuple[str, Sequence[Call], Any] | None:
        entry = self.entries.get(name)
        if entry is None or not entry.is_operation:
            return None
        return entry.class_name, entry.calls, entry.view.raw("inbound_nodes")

    def _node_of(self, ref: TensorRef) -> str | None:
        tensor = self._find(ref)
        return tensor.node if tensor else None

    def _find_all(self, refs: Sequence[TensorRef]) -> tuple[LayerTensor, ...] | None:
        found = [self._find(ref) for ref in refs]
        tensors = tuple(tensor for tensor in found if tensor is not None)
        return tensors if len(tensors) == len(found) else None

    def _find_states(self, states: Sequence[StateArgument]) -> tuple[StateTensor, ...] | None:
        found = [state if isinstance(state, ConstantArray) else self._find(state)
                 for state in states]  # fmt: skip
        tensors = tuple(state for state in found if state is not None)
        return tensors if len(tensors) == len(found) else None

    def _find(self, ref: TensorRef) -> LayerTensor | None:
        """The tensor that is meant, or None while its layer is not placed yet."""
        entry = self.entries.get(ref.layer)
        if entry is None:
            raise self._no_such_tensor(ref)
        call = ref.call - entry.offset
        if not 0 <= call < len(entry.outputs):
            return None
        outputs = entry.outputs[call]
        if ref.output < len(outputs):
            return outputs[ref.output]
        if entry.open_ended:
            return outputs[0]
        raise self._no_such_tensor(ref)

    def _renumbered(self, ref: TensorRef) -> TensorRef:
        """Among a model's outputs Keras 3 counts every call that a nested model ever had.

        Elsewhere it counts those of this model; the first, which made the nested model, is none.
        """
        entry = self.entries.get(ref.layer)
        if entry is None or not entry.is_model or self.dialect.number < (3,):
            return ref
        if not entry.outputs or ref.call < len(entry.outputs):
            return ref
        return ref._replace(call=min(ref.call - 1, len(entry.outputs) - 1))

    def _must_find(self, ref: TensorRef) -> LayerTensor:
        tensor = self._find(ref)
        if tensor is None:
            raise self._no_such_tensor(ref)
        return tensor

    def _no_such_tensor(self, ref: TensorRef) -> CheckpointError:
        return CheckpointError(
            "The model's configuration refers to a tensor that no layer makes.",
            where=self.config.where,
            expected="a layer of the model, one of its calls and one of its outputs",
            found=f"layer '{ref.layer}', call {ref.call}, output {ref.output}",
            hint="The file is damaged or was edited; save the model again.",
        )
