"""Files and folders that rnnscope makes itself: whole or not at all, never through a link."""
