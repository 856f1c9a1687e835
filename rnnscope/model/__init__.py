"""What a recurrent model is: cells, layers, the network they form, the states they have."""
