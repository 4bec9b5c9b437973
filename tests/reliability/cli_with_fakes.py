"""The command line with the fake backend: ``python -m tests.reliability.cli_with_fakes BEHAVIOUR WORDS…``."""

from __future__ import annotations

import json
import sys

from harness.cli import main
from tests.fakes import registered

if __name__ == "__main__":
    behaviour = json.loads(sys.argv.pop(1))
    with registered(**behaviour):
        main()
