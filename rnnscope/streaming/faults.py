"""Every fault of a streamer that is known, the plainest first.

Sources are threads in which somebody met the fault; `STREAMING.md` tells of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.streaming.fault import Facts, Fault
from rnnscope.streaming.feeding_faults import of_feeding, of_lag, of_resets
from rnnscope.streaming.state_faults import every_state, of_batch, of_layers, of_two_states


def faults_of(facts: Facts) -> Iterator[Fault]:
    """Every fault that a network and its input can have, the plainest first."""
    both = any("c" in widths for widths in facts.widths.values())
    if facts.backward:
        yield Fault(
            "lookahead-missing",
            "the backward direction sees nothing beyond its chunk{every}; the forward state is "
            "carried",
            "A layer that reads from the end needs the whole sequence, or steps beyond the chunk: "
            "give it a lookahead, or use a model that reads forward.",
            any_length=True,
        )
        yield Fault(
            "backward-state-carried",
            "the backward direction starts from where it ended in the chunk before{every}",
            "The final state of a layer that reads from the end lies at the chunk's beginning: it "
            "is no start for the next chunk.",
            backward_carried=True,
            any_length=True,
        )
    yield Fault(
        "never-carried",
        "the state returns to its initial value{every}",
        "Feed the state that a chunk returns (h_n and c_n, Y_h and Y_c, stateN) as the initial "
        "state of the next one; reset it between streams alone.",
        carry=lambda given: given.first,
        any_length=bool(facts.backward),
    )
    if both:
        yield from of_two_states(facts)
    yield Fault(
        "one-step-late",
        "the state that is carried is that of one step earlier{every}",
        "Take the state after the last step of the chunk, not the one before it.",
        carry=lambda given: given.earlier,
    )
    yield Fault(
        "first-state-kept",
        "the state after the first chunk is used for all others{every}",
        "Take the state of each chunk anew: it was stored once.",
        carry=lambda given: given.first_chunk,
    )
    yield Fault(
        "state-rounded",
        "the state is rounded to float16 when it is carried{every}",
        "Keep the state in the precision of the model between chunks.",
        carry=every_state(lambda array: array.astype(np.float16).astype(array.dtype)),
    )
    yield from of_layers(facts)
    yield from of_batch(facts)
    yield from of_feeding()
    yield from of_resets(facts)
    yield from of_lag(facts)
