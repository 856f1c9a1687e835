"""From a run to its trace, and back: headers, replay, suites."""
