"""How each framework computes what the specs describe: the contract, the registry and one adapter per framework.

Importing this package, the registry or any adapter module imports no framework: an adapter imports its framework when
a worker process asks it to ``load``. No two frameworks ever share a process.
"""
