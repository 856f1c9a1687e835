"""What a reading is made of: deviations, which of them act late, and which is preferred."""
