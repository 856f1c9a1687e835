"""TensorFlow.js: ``model.json`` and the shards beside it."""
