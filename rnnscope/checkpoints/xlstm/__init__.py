"""xLSTM: the layers of its state dicts that have scalar memories (sLSTM)."""
