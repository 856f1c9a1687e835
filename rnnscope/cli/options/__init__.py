"""Options that several commands share, and what shells offer for them."""
