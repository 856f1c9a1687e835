"""What results look like: one module a kind of result and format, named in `rnnscope.printable`.

Each has a pure function ``render(result, *, width, color) -> str``; none prints.
"""
