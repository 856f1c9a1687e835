"""What a page shows of traces, as data: which values it holds, in which form, within a budget.

`embed` makes the contents of one self-contained file; `serve` those of a page that fetches its
values from a process. `rnnscope.report.page` turns contents into HTML.
"""
