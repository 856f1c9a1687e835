"""What reports are made from: plain data, no arrays, so that every format says the same.

The field names are the keys of the JSON report, and so are kept.
"""
