"""What a layer of Keras is called on and with."""
