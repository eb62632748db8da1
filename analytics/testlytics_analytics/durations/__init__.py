"""Which tests got slower, told apart from what the machine did: matrices in, findings out.

A matrix holds the natural logarithms of durations in seconds, a row per series and a column per
run, the oldest run first; NaN where a series has no passed attempt in a run. Nothing here depends
on the order of the rows.
"""
