"""Do other engines compute an LSTM, GRU or RNN right? A corpus of small cases, and who judges."""
