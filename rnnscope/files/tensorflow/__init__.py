"""TensorFlow's containers: table files, bundles, checkpoint folders, protocol messages."""
