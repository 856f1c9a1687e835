"""Neural networks: layers of the older format, whose weights lie in the file itself."""
