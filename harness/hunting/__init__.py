"""The hunt: networks drawn at random, five steps each on every backend, against the float64 reference.

What disagrees is told from the differences that are known, made as small as it can be, named, and written as a folder
with a reproduction in the framework alone.
"""
