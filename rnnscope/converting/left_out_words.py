"""What files of weights alone do not hold of a model, in words."""

from __future__ import annotations

from rnnscope.converting.interface import Plan
from rnnscope.model.initial_state import StoredState


def wiring_words(plan: Plan, what: str) -> tuple[str, ...]:
    """What weights alone do not hold of a plan."""
    found = []
    what = what[0].upper() + what[1:]
    plain = [step.name for step in plan.steps if step.name not in {x.name for x in plan.levels}]
    if plain:
        names = ", ".join(f"'{name}'" for name in plain)
        found.append(f"{what} holds the recurrent layers alone; not {names}.")
    found.extend(start_words(plan))
    if len(plan.levels) > 1:
        found.append(f"{what} does not say what feeds what: that is your code.")
    return tuple(found)


def start_words(plan: Plan) -> tuple[str, ...]:
    """The initial states that whoever runs the model has to give, a sentence each."""
    starts = {
        node.name: node.recurrent.initial_state.value for node in plan.nodes if node.recurrent
    }
    return tuple(
        f"The initial state of '{name}': {start}; give it in code."
        for name, start in starts.items()
        if any(not isinstance(part, StoredState) for part in start.parts.values())
    )
