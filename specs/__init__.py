"""What to compute: framework-neutral descriptions of a network and of its training.

Everything a worker process needs from this package is standard library and NumPy; only ``specs.loading`` (YAML in,
clear errors out) uses PyYAML and pydantic, and only the parent process imports it.
"""
