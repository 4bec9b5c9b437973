"""``python -m framework_harness``: the same as the console script."""

from framework_harness import main

main()
