"""A run in parts: each recorded alone or by a worker of a cluster, and tied to one trace."""
