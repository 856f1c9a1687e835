"""What files of weights alone do not hold of a model, in words."""

from __future__ import annotations

from rnnscope.converting.interface import Plan


def wiring_words(plan: Plan, what: str) -> tuple[str, ...]:
    """What weights alone do not hold of a plan."""
    found = []
    what = what[0].upper() + what[1:]
    plain = [step.name for step in plan.steps if step.name not in {x.name for x in plan.levels}]
    if plain:
        names = ", ".join(f"'{name}'" for name in plain)
        found.append(f"{what} holds the recurrent layers alone; not {names}.")
    for node in plan.nodes:
        start = node.recurrent.initial_state if node.recurrent else None
        if start is not None and start.value.parts:
            found.append(f"The initial state of '{node.name}': {start.value}; give it in code.")
    if len(plan.levels) > 1:
        found.append(f"{what} does not say what feeds what: that is your code.")
    return tuple(found)
