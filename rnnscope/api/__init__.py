"""What ``import rnnscope`` offers: a function for every command, and objects to look into."""
