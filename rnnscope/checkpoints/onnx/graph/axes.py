"""What the axes of an ONNX value mean: found out from the recurrent nodes that read it.

rnnscope's signals are (sequence, timestep, feature); ONNX graphs transpose, squeeze and reshape.
Those nodes compute nothing that rnnscope needs to: they only say which axis is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Literal

from rnnscope.deferred_dataclass import dataclass

Role = Literal["batch", "time", "feature", "direction", "unit"]
"""``unit``: an axis of size 1 that the graph inserted. ``direction``: that of a recurrent node."""


class NoFit(Exception):  # noqa: N818 - it ends no program: the node becomes an Unsupported one
    """Why a node of the graph is not understood: the end of "Layer 'x' of class Reshape …"."""


@dataclass(eq=False)
class Axis:
    """One axis, whose role may become known later; axes found to be the same share it.

    Attributes
    ----------
    role : Role or None
    size : int or None
        None where it is only known at run time.
    same : Axis or None
        The axis that this one was found to be.
    """

    role: Role | None = None
    size: int | None = None
    same: Axis | None = field(default=None, repr=False)

    def root(self) -> Axis:
        axis = self
        while axis.same is not None:
            axis = axis.same
        return axis

    @property
    def is_unit(self) -> bool:
        return self.root().role == "unit"

    def bind(self, role: Role) -> None:
        """Say what the axis is.

        Raises
        ------
        NoFit
            It is something else.
        """
        root = self.root()
        if root.role is None:
            root.role = role
        # A batch or a sequence of one that the graph made out of less.
        elif root.role != role and not (root.role == "unit" and role in ("batch", "time")):
            raise NoFit(f"takes the axis of {root.role} for that of {role}")

    def join(self, other: Axis) -> None:
        """Say that two axes are the same.

        Raises
        ------
        NoFit
            They are not.
        """
        mine, yours = self.root(), other.root()
        if mine is yours:
            return
        if yours.role is not None:
            mine.bind(yours.role)
        if mine.role == yours.role or yours.role is None:
            yours.same = mine


Axes = tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class Flow:
    """What a value of the graph is to rnnscope.

    Attributes
    ----------
    node : str
        The network's node or input that makes it.
    axes : tuple of Axis or None
        None where not even their number is known.
    parts : tuple of str
        The nodes of the two directions, while they lie on an axis of their own.
    lost : bool
        True behind a node that is not computed.
    """

    node: str
    axes: Axes | None = None
    parts: tuple[str, ...] = ()
    lost: bool = False


def axes_of(flow: Flow) -> Axes:
    """The axes of a value, which must be known."""
    if flow.axes is None:
        raise NoFit("reads a value whose axes are not known")
    return flow.axes


def place(axis: int, count: int) -> int:
    """An axis counted from the front."""
    found = axis + count if axis < 0 else axis
    if not 0 <= found < count:
        raise NoFit(f"names axis {axis} of {count}")
    return found


def transpose(axes: Axes, order: Sequence[int] | None) -> Axes:
    """The axes in another order; turned round without one."""
    wanted = tuple(order) if order is not None else tuple(reversed(range(len(axes))))
    if sorted(wanted) != list(range(len(axes))):
        raise NoFit(f"reorders {len(axes)} axes by {wanted}")
    return tuple(axes[number] for number in wanted)


def squeeze(axes: Axes, places: Sequence[int] | None) -> Axes:
    """Without the axes at these places, or without all that are known to be of size 1."""
    if places is None:
        gone = {number for number, axis in enumerate(axes) if axis.is_unit}
    else:
        gone = {place(number, len(axes)) for number in places}
    for number in gone:
        if axes[number].root().role in ("feature", "direction"):
            raise NoFit(f"drops the axis of {axes[number].root().role}s")
    return tuple(axis for number, axis in enumerate(axes) if number not in gone)


def unsqueeze(axes: Axes, places: Sequence[int]) -> Axes:
    """The axes with new ones of size 1 at these places."""
    count = len(axes) + len(places)
    inserted = {place(number, count) for number in places}
    rest = iter(axes)
    return tuple(Axis("unit", 1) if n in inserted else next(rest) for n in range(count))


def reshape(axes: Axes, target: Sequence[int]) -> tuple[Axes, bool]:
    """The axes after a Reshape that only inserts, drops or merges axes.

    Returns
    -------
    axes : tuple of Axis
    merged : bool
        True if the axis of directions went into that of features.

    Raises
    ------
    NoFit
        It does anything else, or what it does depends on sizes that are not known.
    """
    rest = list(axes)
    made: list[Axis] = []
    merged = False
    for number, size in enumerate(target):
        last = number == len(target) - 1
        while rest and rest[0].is_unit and size != 1 and len(rest) > 1:
            rest.pop(0)
        if size == 1 and not (rest and (rest[0].is_unit or rest[0].size == 1)):
            made.append(Axis("unit", 1))
            continue
        if not rest:
            raise NoFit(f"to {list(target)} is not understood")
        if size == 0 and (number >= len(axes) or axes[number] is not rest[0]):
            raise NoFit(f"to {list(target)} is not understood")
        first = rest.pop(0)
        if last and rest:
            roles = [axis.root().role for axis in (first, *rest) if not axis.is_unit]
            merged = roles == ["direction", "feature"]
            if not merged and len(roles) != 1:
                raise NoFit(f"to {list(target)} merges other axes than directions and features")
            first, rest = rest[-1] if merged else _only(first, rest), []
            made.append(Axis("feature") if merged else first)
            continue
        if size > 0 and first.size not in (None, size):
            raise NoFit(f"to {list(target)} is not understood")
        made.append(first)
    if any(not axis.is_unit for axis in rest):
        raise NoFit(f"to {list(target)} is not understood")
    return tuple(made), merged


def _only(first: Axis, rest: list[Axis]) -> Axis:
    return next(axis for axis in (first, *rest) if not axis.is_unit)
