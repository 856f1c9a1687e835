"""Core ML models: ML programs in ``.mlpackage`` folders, neural networks in ``.mlmodel`` files."""
