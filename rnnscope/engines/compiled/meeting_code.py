"""Where threads that share a step wait for one another: machine code for `meeting`."""

from __future__ import annotations

import platform

from llvmlite import ir

from rnnscope.engines.compiled.meeting import COUNT, DONE, LATE, SPINS
from rnnscope.engines.compiled.writer import INT, Writer

FORGIVEN, STEPS_A_DELAY = 64, 16
"""Delays that are no reason to part, and one more for every so many steps. A thread that has just
woken up may be on the core of the one that waits for it, and stays there for some milliseconds."""

PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause", ()), "amd64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.isb", (15,)), "arm64": ("llvm.aarch64.isb", (15,)),
}  # fmt: skip
"""What tells a CPU that a loop only waits, so that it leaves its core to the other thread there."""


def write_meet(w: Writer, machine: str | None = None) -> None:
    """The function that returns when all threads have called it.

    Parameters
    ----------
    w : Writer
        Of a function without arguments of its own.
    machine : str, optional
        As `platform.machine` calls it; the one at hand.
    """
    b, place = w.builder, w["meeting"]
    parties = w["parties"]
    before = b.atomic_rmw("add", w.at(place, COUNT), INT(1), "seq_cst")
    enough = w.times(w.plus(b.sdiv(before, parties), 1), parties)
    look = b.append_basic_block("look")
    wait = b.append_basic_block("wait")
    late = b.append_basic_block("late")
    met = b.append_basic_block("met")
    entry = b.block
    b.branch(look)
    b.position_at_end(look)
    spins = b.phi(INT)
    spins.add_incoming(INT(0), entry)
    count = b.load_atomic(w.at(place, COUNT), "acquire", 8)
    b.cbranch(b.icmp_signed(">=", count, enough), met, wait)
    b.position_at_end(wait)
    _pause(w, machine)
    spun = w.plus(spins, 1)
    spins.add_incoming(spun, wait)
    b.cbranch(b.icmp_signed(">=", spun, INT(SPINS)), late, look)
    b.position_at_end(late)
    with b.if_then(b.icmp_signed("==", spun, w["patience"])):
        b.atomic_rmw("add", w.at(place, LATE), INT(1), "monotonic")
    with b.if_then(b.icmp_signed("!=", w["yields"], INT(0))):
        kind = ir.FunctionType(ir.IntType(32), []).as_pointer()
        b.call(b.inttoptr(w["yields"], kind), [])
    spins.add_incoming(spun, b.block)
    b.branch(look)
    b.position_at_end(met)
    w.done()


def part_if_late(w: Writer, step: ir.Value) -> None:
    """Have the threads part behind a step, counted from 0, if they wait too often.

    For the first of them to write down before all meet at the end of that step: nobody reads it
    as a reason to part after an earlier one.
    """
    b, place = w.builder, w["meeting"]
    late = b.load_atomic(w.at(place, LATE), "monotonic", 8)
    allowed = w.plus(b.sdiv(step, INT(STEPS_A_DELAY)), FORGIVEN)
    first = b.icmp_signed("==", w["party"], INT(0))
    with b.if_then(b.and_(first, b.icmp_signed(">", late, allowed))):
        b.store_atomic(w.plus(step, 1), w.at(place, DONE), "monotonic", 8)


def have_parted(w: Writer, step: ir.Value) -> ir.Value:
    """Whether the threads part behind a step that all have met after."""
    done = w.builder.load_atomic(w.at(w["meeting"], DONE), "monotonic", 8)
    return w.builder.icmp_signed("<=", done, w.plus(step, 1))


def _pause(w: Writer, machine: str | None) -> None:
    name, values = PAUSES.get((machine or platform.machine()).lower(), ("", ()))
    if not name:
        return
    word = ir.IntType(32)
    module = w.builder.module
    function = module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [word] * len(values))
        function = ir.Function(module, kind, name)
    w.builder.call(function, [word(value) for value in values])
