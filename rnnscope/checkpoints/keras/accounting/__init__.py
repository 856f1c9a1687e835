"""Every key, argument and dtype of a layer: used, harmless, or a reason to refuse it."""
