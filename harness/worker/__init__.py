"""The worker process: one framework, one training loop, its clocks. The standard library and NumPy alone."""
