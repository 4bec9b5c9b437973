"""Runs and whole sweeps carried out, each ending in a record, whatever happens."""
