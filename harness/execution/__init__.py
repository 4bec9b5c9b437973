"""Where the runs and races of a comparison are carried out: here, or on the machines of a cluster.

A comparison decides what remains to be done and keeps what comes; an engine does it (``engine``). What is placed as a
whole is a unit (``units``). ``local`` is this machine, one thing after another.
"""
