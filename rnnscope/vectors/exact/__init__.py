"""The equations in some 36 decimal digits, the same bits on every machine."""
