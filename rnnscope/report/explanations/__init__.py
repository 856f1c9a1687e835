"""Reports of why numbers differ."""
