"""The smallest sequence, steps and units of a pair that still differ, written as a case."""
