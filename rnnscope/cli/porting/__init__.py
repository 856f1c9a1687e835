"""Commands for ports and other engines: ``vectors``, ``convert`` and ``conform``."""
