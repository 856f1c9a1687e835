"""OpenVINO's intermediate representation: a graph in ``.xml``, its constants in ``.bin``."""
