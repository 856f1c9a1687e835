"""A page about a trace: one HTML document, made of contents that `rnnscope.seeing.page` gathers."""
