"""A run as a value: the recipe, what it names, and how it is said again."""
