"""How an engine did on the corpus of `rnnscope conform`."""
