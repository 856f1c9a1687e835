"""Reports of what a file holds."""
