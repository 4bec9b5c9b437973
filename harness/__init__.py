"""The commands and the running: datasets, plan, prepare, environments, launch, worker, conformance, measuring."""
