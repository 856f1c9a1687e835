"""Checks of bare arrays: the outputs and the state that a framework returned, without a trace."""

from __future__ import annotations

import numpy as np

from rnnscope.checks import CHECKS, run_checks
from rnnscope.checks.interface import CheckContext, CheckedSlice, Finding
from rnnscope.checks.padding_verdict import PaddingVerdict, padding_verdict
from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.errors import InputError
from rnnscope.files.containers.named_arrays import NamedArrays, open_named
from rnnscope.inputs import open_input
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import PaddingRule
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.states.naming import STATES, parse_array_name, tells

JUDGED = frozenset({"c", "m", "outputs", "final", "mask", "lengths"})
"""What arrays without a trace may hold: checks that require more are not even mentioned."""

LAYER = "outputs"
"""What the layer is called that has no name."""


def check_arrays(
    outputs: str,
    state: str | None = None,
    lengths: str | None = None,
    padding: PaddingRule | None = None,
    settings: CheckSettings | None = None,
) -> Subject:
    """Check the outputs of a layer and the final state that came with them.

    Parameters
    ----------
    outputs : str
        ``.npy``, ``FILE.npz::KEY`` …: (sequence, timestep, unit), or (timestep, unit).
    state : str, optional
        A file with ``c`` and ``m`` (or ``h``), or with one array: m, or c and m side by side;
        (sequence, unit), or (unit,).
    lengths : str, optional
        As of `open_input`.
    padding : PaddingRule, optional
        What is to lie past the length; zeros, if there are lengths.
    settings : CheckSettings, optional

    Raises
    ------
    InputError
        An array cannot be read, or does not fit the others.
    """
    settings = settings or CheckSettings()
    ids = settings.ids()
    if not settings.only:
        ids -= {check for check in ids if not JUDGED.issuperset(CHECKS[check].requires)}
    with open_input(outputs, lengths=lengths, ids=False) as source:
        # Not read(), which refuses NaN: here it is a finding.
        everything = slice(0, source.sequences), slice(0, source.timesteps)
        values = source.values(*everything)
        steps, mask = source.lengths, source.mask
    final, unread = ({}, ()) if state is None else _read_state(state, values)
    rule: PaddingRule = padding or ("none" if steps is None and mask is None else "zeros")
    if mask is None and steps is not None:
        mask = np.arange(values.shape[1]) < steps[:, None]
    layer = CheckedSlice(
        facts=LayerFacts(LAYER, padding=rule),
        states=LayerStates({}, values, {}, final),
        lengths=steps,
        mask=mask,
        context=CheckContext(limits=settings.limits),
    )
    findings = run_checks(layer, only=ids) if values.size else _nothing(ids)
    verdict = (PaddingVerdict(LAYER, padding_verdict(layer)),) if values.size else ()
    notes = (f"not read of {state}: {', '.join(unread)}",) if unread else ()
    return Subject(name=outputs, findings=tuple(findings), padding=verdict, notes=notes)


def _nothing(ids: frozenset[str]) -> list[Finding]:
    return [Finding(check, LAYER, "skip", "the outputs are empty") for check in CHECKS
            if check in ids]  # fmt: skip


def _read_state(spec: str, outputs: Array) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The final state by name, (sequence, unit) each; and the arrays that are none."""
    arrays = open_named(spec, tells)
    unread: tuple[str, ...] = ()
    try:
        named = {name: _state_name(name) for name in arrays.names}
        if len(arrays.names) == 1 and not named[arrays.names[0]]:
            states = _one_array(arrays, outputs)
        else:
            states = {state: arrays.array(name).read() for name, state in named.items() if state}
            if len(states) < sum(map(bool, named.values())) or not states:
                raise _unclear(arrays, outputs)
            unread = tuple(name for name, state in named.items() if not state)
    finally:
        arrays.close()
    whole = {name: _rows(spec, name, array, len(outputs)) for name, array in states.items()}
    return {name: whole[name] for name in sorted(whole)}, unread


def _state_name(name: str) -> str:
    parsed = parse_array_name(name)
    key = STATES.get(name.rpartition(".")[2]) if parsed is None else parsed.key
    return (key or "").removeprefix("final/")


def _one_array(arrays: NamedArrays, outputs: Array) -> dict[str, Array]:
    array = arrays.array(arrays.names[0]).read()
    width = outputs.shape[-1]
    if array.ndim and array.shape[-1] == width:
        return {"m": array}
    if array.ndim and array.shape[-1] > width:
        # [c, m]: m is as wide as the outputs, c has the rest.
        return {"c": array[..., :-width], "m": array[..., -width:]}
    raise _unclear(arrays, outputs)


def _rows(spec: str, name: str, array: Array, sequences: int) -> Array:
    if array.ndim == 1 and sequences == 1:
        return array[None]
    if array.ndim == 2 and len(array) == sequences:
        return array
    raise InputError(
        "The state does not fit the outputs.",
        where=f"{spec}, {name}",
        expected=f"({sequences}, unit), one row a sequence",
        found=f"shape {array.shape}",
    )


def _unclear(arrays: NamedArrays, outputs: Array) -> InputError:
    shapes = [f"{name or 'an array'} {arrays.array(name).shape}" for name in arrays.names[:8]]
    return InputError(
        "It is not clear which arrays are the state.",
        where=arrays.label,
        expected=f"c and m (or h), or one array: m, {outputs.shape[-1]} wide, or c and m side by "
        "side",
        found=", ".join(shapes) or "no arrays",
        hint="name one array: FILE::NAME",
    )
