"""Reports of checks and suites."""
