"""Test vectors for an implementation in any language, and what an implementation made of them."""
