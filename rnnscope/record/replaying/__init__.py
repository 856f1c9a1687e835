"""The run of a trace done again: slice by slice in other ways, or into another trace."""
