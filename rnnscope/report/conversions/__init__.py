"""Reports of states and weights in other formats."""
