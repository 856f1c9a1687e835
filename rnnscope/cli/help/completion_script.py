"""What shells read to complete ``rnnscope``."""

from __future__ import annotations

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """What a shell reads to complete ``rnnscope``: click's own script for it."""
    from click.shell_completion import get_completion_class

    from rnnscope.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None, "one of SHELLS"
    completion = found(cli, {}, "rnnscope", "_RNNSCOPE_COMPLETE")
    # Not source(): it starts bash to ask for its version, and that of the reader counts.
    return str(completion.source_template % completion.source_vars())
