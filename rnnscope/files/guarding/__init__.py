"""What a file may take of this machine, and whether it stays what it was while it is read."""
