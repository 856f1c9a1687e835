"""Work spread over the processes of a cluster that others keep: Dask, and its scheduler.

Knows nothing of traces: tasks are functions of a module, with values that can be pickled.
"""
