"""The command line. Only this package touches stdout, stderr, the terminal and exit codes."""

from rnnscope.cli.main import main

__all__ = ["main"]
