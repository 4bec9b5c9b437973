"""Backends on one training by turns, so that what the machine does falls on all alike."""
