"""Holding what is computed to every view of a reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.explaining.computing.simulation import Results
from rnnscope.explaining.readings.deviations import Target, View
from rnnscope.model.cell import Array


class PreparedTarget:
    """A target cut to the sequences that are computed, with what is known of it."""

    def __init__(self, target: Target, sequences: int, *, transposed: bool) -> None:
        values = target.values
        if transposed and values.ndim == 3:
            values = np.swapaxes(values[:sequences], 0, 1)
        elif not transposed:
            values = values[:sequences]
        self.key = target.key
        # Final states of timesteps are given where these are taken for sequences, only there.
        self.meant = target.turned == transposed or target.values.ndim == 3
        self.known = np.isfinite(values)
        steps: Array = np.any(self.known, axis=(0, 2)) if values.ndim == 3 else np.zeros(0, bool)
        self.first_known = int(steps.argmax()) if steps.any() else -1
        self.last_known = len(steps) - 1 - int(steps[::-1].argmax()) if steps.any() else -1
        self.values = np.where(self.known, values, 0.0)
        self.scale = target.scale
        self.all_known = bool(self.known.all())

    def says_of(self, done: Array) -> bool:
        """Whether anything is known of steps that are computed."""
        steps = done[0].any(axis=0)
        return bool(steps[max(self.first_known, 0) : self.last_known + 1].any())

    def error(self, got: Array, done: Array | None) -> Array | None:
        """The largest difference of each of a stack, in units of the scale; None if incomparable.

        Parameters
        ----------
        got : ndarray (stack, row, timestep, width) or (stack, row, width)
        done : ndarray of bool (stack or 1, row, timestep) or None
            Steps that are computed.
        """
        values, known = self.values, self.known
        if not self.meant:
            return np.full(len(got), np.inf)
        if done is not None:
            if values.ndim != 3:
                return None
            values, known = values[:, : got.shape[2]], known[:, : got.shape[2]]
        if got.shape[1:] != values.shape:
            return np.full(len(got), np.inf) if done is None else None
        with np.errstate(all="ignore"):
            apart = np.abs(got - values)
        apart[~np.isfinite(apart)] = np.inf
        if not self.all_known:
            apart = np.where(known, apart, 0.0)
        if done is not None and not done.all():
            apart = np.where(done[..., None], apart, 0.0)
        largest: Array = apart.reshape(len(apart), -1).max(axis=1, initial=0.0) / self.scale
        return largest


class TargetsOfNode:
    """What is said of a node: targets, and the views that say so.

    Attributes
    ----------
    targets : list of (PreparedTarget, ndarray of int)
        With the places of the views.
    said_by : ndarray of bool (target, view)
        The same as a table.
    """

    def __init__(self, targets: list[tuple[PreparedTarget, Array]], views: int) -> None:
        self.targets = targets
        self.said_by = np.zeros((len(targets), views), bool)
        for at, (_, of_views) in enumerate(targets):
            self.said_by[at, of_views] = True


class PreparedViews:
    """The targets of views, cut once for each number of sequences."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, bool], dict[str, TargetsOfNode]] = {}
        self.wanted: dict[tuple[str, str], bool] = {}

    def targets(
        self, views: Sequence[View], sequences: int, *, transposed: bool
    ) -> dict[str, TargetsOfNode]:
        """What the views say of each node, every target once."""
        found = self._made.get((sequences, transposed))
        if found is None:
            targets: dict[int, Target] = {}
            places: dict[int, list[int]] = {}
            for at, view in enumerate(views):
                for target in view.targets:
                    targets[id(target)] = target
                    places.setdefault(id(target), []).append(at)
            of_nodes: dict[str, list[tuple[PreparedTarget, Array]]] = {}
            for key, target in targets.items():
                cut = PreparedTarget(target, sequences, transposed=transposed)
                of_nodes.setdefault(target.node, []).append((cut, np.array(places[key])))
            found = {node: TargetsOfNode(said, len(views)) for node, said in of_nodes.items()}
            self._made[sequences, transposed] = found
        return found

    def said(self, views: Sequence[View], sequences: int, *, transposed: bool) -> Array:
        """Which views say something of these sequences."""
        found = np.zeros(len(views), bool)
        for members in self.targets(views, sequences, transposed=transposed).values():
            for target, of_views in members.targets:
                found[of_views] |= bool(target.known.any())
        return found


class Comparison:
    """Which of a stack agree with which views so far; a `Watcher`.

    Parameters
    ----------
    views : sequence of View
    sizes : ndarray of int (stack,)
        Deviations of each setup.
    most : int
        Deviations that a reading may have, those of its view included.
    tolerances : ndarray (stack, view)
    sequences : int
        How many of the reference's sequences are computed.
    transposed : bool
    prepared_views : PreparedViews
        Of these views, for the next comparison as well.
    whole : bool
        All sequences are computed: a view that says nothing of them fits nothing.

    Attributes
    ----------
    alive : ndarray of bool (stack, view)
    errors : ndarray (stack, view)
    reached : ndarray of int (stack,)
        Steps after which each of the whole stack, also of what was given up, agreed with a view.
    """

    def __init__(
        self,
        views: Sequence[View],
        sizes: Array,
        most: int,
        tolerances: Array,
        sequences: int,
        *,
        transposed: bool,
        prepared_views: PreparedViews,
        whole: bool,
    ) -> None:
        of_views = np.array([len(view.deviations) for view in views])
        self.alive = sizes[:, None] + of_views[None] <= most
        self.errors = np.zeros((len(sizes), len(views)))
        self._tolerances = tolerances
        self.reached = np.zeros(len(sizes), int)
        if whole:
            self.alive &= prepared_views.said(views, sequences, transposed=transposed)
        self._places = np.arange(len(sizes))
        self._targets = prepared_views.targets(views, sequences, transposed=transposed)
        self._wanted = prepared_views.wanted

    def watches(self, node: str) -> bool:
        """Whether any view says something of a node."""
        return node in self._targets

    def wants(self, node: str, key: str) -> bool:
        """Whether any view says something of a result."""
        found = self._wanted.get((node, key))
        if found is None:
            said = self._targets[node].targets if node in self._targets else ()
            found = any(key in target.key for target, _ in said)
            self._wanted[node, key] = found
        return found

    def see(self, node: str, results: Results, done: Array | None) -> Array | None:
        """Strike out the pairs that differ."""
        informed = np.zeros(self.alive.shape[1], bool)
        possible: Array = self.alive.any(axis=0)
        said = self._targets[node]
        for at in np.flatnonzero((said.said_by & possible).any(axis=1)):
            target, of_views = said.targets[at]
            views = of_views[possible[of_views]]
            if not len(views):  # what was said before it struck them out
                continue
            got = results.get(target.key)
            if got is not None:
                error = target.error(got, done)
            else:
                error = None if done is not None else np.full(len(self.alive), np.inf)
            if error is None:
                continue
            if done is not None and target.says_of(done):
                informed[views] = True
            self.errors[:, views] = np.maximum(self.errors[:, views], error[:, None])
            self.alive[:, views] &= error[:, None] <= self._tolerances[:, views]
            possible[views] = self.alive[:, views].any(axis=0)
        keep: Array = self.alive.any(axis=1)
        if done is not None and informed.any():
            steps = int(done[0].sum(axis=1).max(initial=0))
            agree = self.alive[:, informed].any(axis=1)
            self.reached[self._places[agree]] = steps
        if keep.all():
            return None
        self._places = self._places[keep]
        self.alive, self.errors = self.alive[keep], self.errors[keep]
        self._tolerances = self._tolerances[keep]
        return keep
