"""States in the terminal; reports of pictures and pages."""
