"""Small cases, as ``rnnscope diff --reduce`` writes them: layers, input and states in an .npz."""
