"""The states that enter every step, noted down without a change to the graph that is saved.

Every model is built twice. The first graph is saved as a user would save it. In the second one the
cell that the loop is given notes, by `tf.py_func`, the state that enters each of its calls. What
enters step t + 1 is what the loop's own variables hold after step t, whatever the loop does to the
state on its way round; after the last step they hold the final state.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

nest = tf.nest


class Recorder:
    """Notes what enters every step, by tag; does nothing unless it is active.

    Attributes
    ----------
    active : bool
        Whether this is the second graph.
    steps : dict
        {(tag, call in the graph): [the flat state of each time that the call ran]}
    """

    def __init__(self, active):
        self.active = active
        self.steps = {}
        self._calls = {}

    def entering(self, tag, state):
        """The same state; what enters is noted before anything can use it."""
        if not self.active:
            return state
        call = self._calls.get(tag, 0)
        self._calls[tag] = call + 1
        kept = self.steps.setdefault((tag, call), [])

        def note(*parts):
            kept.append([np.array(part) for part in parts])
            return np.int32(0)

        flat = nest.flatten(state)
        noted = tf.compat.v1.py_func(note, flat, tf.int32)
        with tf.control_dependencies([noted]):
            same = [tf.identity(part) for part in flat]
        return nest.pack_sequence_as(state, same)

    def watch(self, cell, tag):
        """The cell; in the second graph it notes the state that enters each call.

        The object stays, its class becomes a subclass of the same name, so that the scopes of its
        variables stay as well.
        """
        if not self.active:
            return cell
        base, recorder = type(cell), self

        def call(self, inputs, state, *arguments, **named):
            return base.__call__(self, inputs, recorder.entering(tag, state), *arguments, **named)

        cell.__class__ = type(base.__name__, (base,), {"__call__": call})
        return cell

    def entered(self, tag):
        """The flat state that entered each step, in order, of all calls with this tag."""
        return [
            state
            for (name, _), states in sorted(self.steps.items(), key=lambda item: item[0])
            if name == tag
            for state in states
        ]


def states_after_each_step(entered, final, steps):
    """The loop's variables after every step, each (sequence, timestep, width).

    Parameters
    ----------
    entered : list of list of array
        What entered each step that was run, flat.
    final : list of array
        What the loop returned.
    steps : int
        Steps of the input; where the loop stopped before, the state is carried.
    """
    if not 0 < len(entered) <= steps:
        raise AssertionError(f"{len(entered)} of {steps} steps were noted")
    after = [*entered[1:], final]
    after += [final] * (steps - len(entered))
    return [
        None
        if np.ndim(last) == 0  # a counter, which is no state of a sequence
        else np.stack([state[at].reshape(len(last), -1) for state in after], axis=1)
        for at, last in enumerate(final)
    ]


def in_input_order(array, lengths):
    """Rows of a backward direction (sequence, timestep, …) turned back, within the lengths."""
    turned = array.copy()
    for row, length in enumerate(lengths):
        turned[row, :length] = array[row, :length][::-1]
    return turned
