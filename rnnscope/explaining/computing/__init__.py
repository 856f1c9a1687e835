"""What a reading computes with, and many of them computed at once."""
