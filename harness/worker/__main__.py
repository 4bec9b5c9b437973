"""``python -m harness.worker``: what the parent starts; see ``serving.main``."""

from harness.worker.serving import main

main()
