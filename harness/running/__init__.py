"""Runs and whole matrices carried out, each ending in a record, whatever happens."""
