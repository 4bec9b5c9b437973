"""Conformance: the proof that every backend computes what the NumPy float64 reference computes.

Six levels: layers, networks, optimizers, trajectories, runs, loop. A check drives anything that opens a contract
session from a ``SessionSpec`` (a worker in another environment, a session in this process, a planted mistake) and
compares what it observes with what the reference observes on the very same arrays.
"""
