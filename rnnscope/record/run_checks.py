"""The checks of a run: done on every slice while it is at hand, and kept in the trace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from rnnscope.checks import CHECKS, merge, run_checks
from rnnscope.checks.interface import (
    STATUS_ORDER,
    CheckContext,
    CheckedSlice,
    Finding,
    StatePlace,
)
from rnnscope.checks.padding_verdict import PaddingSummary
from rnnscope.errors import TraceError, spell
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.network import Node
from rnnscope.model.states import LayerStates
from rnnscope.running.prepared import Prepared
from rnnscope.trace.parts.mark import SAVED

WHOLE_TIME = frozenset({"input-tail", "length-cuts-input"})
"""Checks that a slice of time says nothing about: they compare lengths with the whole input."""


class RunChecks:
    """Findings and padding verdicts of all layers, gathered slice by slice."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._findings: list[Finding] = []
        self._padding = {name: PaddingSummary(facts) for name, facts in prepared.facts.items()}

    def see_layer(
        self, node: Node, states: LayerStates, mask: Array | None, lengths: Array | None,
        input_steps: Array | None, sequences: slice,
        start: Mapping[str, Array] | None = None,
    ) -> None:  # fmt: skip
        """Check some sequences of a layer, all timesteps.

        `start` is the final state of the layers that this one starts from, joined.
        """
        view = CheckedSlice(
            facts=self._prepared.facts[node.name],
            states=states,
            lengths=lengths,
            mask=mask,
            input_steps=self._input_steps(node, input_steps),
            first_sequence=sequences.start,
        )
        found = run_checks(view)
        if start is not None:
            found += run_checks(replace(view, context=CheckContext(origin=start)), only=["handoff"])
        self._findings = merge([*self._findings, *found])
        self._padding[node.name].add(view)

    def see_steps(
        self, node: Node, states: LayerStates, mask: Array | None, lengths: Array | None,
        sequences: slice, first_step: int, output_before: Array | None,
    ) -> None:  # fmt: skip
        """Check some sequences of a layer over a slice of time, with lengths within it.

        A slice is a run of its own: it starts from the state, and after the output
        `output_before`, that the slice before left.
        """
        view = CheckedSlice(
            facts=self._prepared.facts[node.name],
            states=states,
            lengths=lengths,
            mask=mask,
            first_sequence=sequences.start,
            held=output_before,
        )
        found = run_checks(view, only=CHECKS.keys() - WHOLE_TIME)
        moved = [replace(one, place=_later(one.place, first_step)) for one in found]
        self._findings = merge([*self._findings, *moved])
        self._padding[node.name].observe(view)

    def see_lengths(
        self, node: Node, mask: Array | None, lengths: Array | None, input_steps: Array | None,
        sequences: slice, timesteps: int,
    ) -> None:  # fmt: skip
        """Compare lengths with the whole input, after its slices of time have been looked at."""
        # No states are needed, only how many there are: one number, seen many times.
        rows = sequences.stop - sequences.start
        nothing = np.broadcast_to(np.float32(0), (rows, timesteps, 1))
        facts = self._prepared.facts[node.name]
        view = CheckedSlice(
            facts=facts,
            states=LayerStates(dict.fromkeys(CELLS[facts.cell].states, nothing), nothing, {}, {}),
            lengths=lengths,
            mask=mask,
            input_steps=self._input_steps(node, input_steps),
            first_sequence=sequences.start,
        )
        self._findings = merge([*self._findings, *run_checks(view, only=WHOLE_TIME)])
        self._padding[node.name].count(view)

    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of layers, then of CHECKS."""
        order = {node.name: number for number, node in enumerate(self._prepared.plan.layers)}
        checks = {name: number for number, name in enumerate(CHECKS)}
        key = lambda found: (order[found.layer], checks[found.check])  # noqa: E731
        return tuple(sorted(self._findings, key=key))

    def padding(self) -> tuple[tuple[str, str], ...]:
        """The verdict on each layer's padding."""
        return tuple((name, summary.text()) for name, summary in self._padding.items())

    def summary(self) -> str:
        from rnnscope.json_values import plain

        return json.dumps(plain(self.findings()), allow_nan=False)

    def saved(self) -> str:
        """All that was found, as JSON, to go on from later."""
        from rnnscope.json_values import plain

        summaries = {name: _counts(summary) for name, summary in self._padding.items()}
        return json.dumps({"findings": plain(self._findings), "padding": summaries})

    def restore(self, text: str) -> None:
        """Go on from what `saved` returned.

        Raises
        ------
        TraceError
            It is something else: what the interrupted run left was changed.
        """
        try:
            self._restore(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TraceError(
                "What an interrupted run left was changed since: it is not continued.",
                where="the findings of its checks",
                expected="as rnnscope wrote them",
                found=f"{type(error).__name__}: {error}",
                hint=f"start anew without {spell('resume')}",
            ) from error

    def absorb(self, text: str) -> None:
        """Add what `saved` returned of other sequences of the same run.

        Raises
        ------
        TraceError
            As `restore`.
        """
        other = RunChecks(self._prepared)
        other.restore(text)
        self._findings = merge([*self._findings, *other._findings])
        for name, summary in other._padding.items():
            self._padding[name].merge(summary)

    def _restore(self, saved: dict[str, Any]) -> None:
        self._findings = [_finding(entry) for entry in saved["findings"]]
        layers = {node.name for node in self._prepared.plan.layers}
        for found in self._findings:
            known = found.check in CHECKS and found.layer in layers
            if not known or found.status not in STATUS_ORDER or not isinstance(found.message, str):
                raise ValueError(f"a finding of {found.check!r} on layer {found.layer!r}")
        for name, counts in saved["padding"].items():
            summary = self._padding[name]
            for key, value in counts.items():
                before = _counts(summary)[key]
                if isinstance(before, (list, tuple)) and not all(isinstance(v, str) for v in value):
                    raise TypeError(f"{key} is {value!r}")
                setattr(summary, key, type(getattr(summary, key))(value))

    def _input_steps(self, node: Node, input_steps: Array | None) -> Array | None:
        prepared = self._prepared
        direct = node.name in prepared.plan.from_input and not prepared.source.is_ids
        return input_steps if direct else None


def merged_summary(saved: Iterable[str], layers: Sequence[str]) -> str:
    """What `RunChecks.summary` says of a run, from what its parts saved, in their order.

    Raises
    ------
    TraceError
        A text is no such thing.
    """
    from rnnscope.json_values import plain

    found: list[Finding] = []
    order = {name: number for number, name in enumerate(layers)}
    checks = {name: number for number, name in enumerate(CHECKS)}
    try:
        for text in saved:
            found = merge([*found, *(_finding(entry) for entry in json.loads(text)["findings"])])
        found.sort(key=lambda one: (order[one.layer], checks[one.check]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TraceError(
            "What the checks found in a part is not to be understood.",
            where=SAVED,
            expected="as rnnscope wrote it",
            found=f"{type(error).__name__}: {error}",
            hint="make the part again",
        ) from error
    return json.dumps(plain(tuple(found)), allow_nan=False)


def _later(place: StatePlace | None, first_step: int) -> StatePlace | None:
    if place is None or place.timestep is None:
        return place
    return replace(place, timestep=place.timestep + first_step)


def _counts(summary: PaddingSummary) -> dict[str, object]:
    kept = asdict(summary)
    del kept["facts"]
    return {key: sorted(value) if isinstance(value, set) else value for key, value in kept.items()}


def _finding(entry: dict[str, object]) -> Finding:
    place = entry.pop("place")
    numbers = {
        key: float(str(entry.pop(key))) if entry[key] is not None else entry.pop(key)
        for key in ("measured", "limit")
    }
    where = None if place is None else StatePlace(**place)  # type: ignore[arg-type]
    return Finding(**entry, **numbers, place=where)  # type: ignore[arg-type]
