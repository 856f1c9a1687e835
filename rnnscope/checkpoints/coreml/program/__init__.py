"""ML programs: operations of the model intermediate language (MIL), by name."""
