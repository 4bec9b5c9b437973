"""The proof: before a case is timed, each backend computes some steps of it and is held against NumPy float64.

It is of this very case and of the manner, version, precision and threads that will be timed. ``conform`` is the
exhaustive suite; a proof takes seconds and is remembered by content.
"""
