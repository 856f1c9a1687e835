"""Reports of what differs between two sets of states or weights."""
