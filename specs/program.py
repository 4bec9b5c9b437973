"""The program: its version, where it lies, and how it is typed (messages and recorded commands begin with that)."""

import sys
from pathlib import Path

VERSION = "0.2.0"

# The folder of specs, backends, harness and results.
CODE = Path(__file__).resolve().parents[1]

# The console script of an installation; a checkout has `python -m harness` even where nothing is installed.
_INSTALLED = CODE.name == "framework_harness"
PROGRAM = "harness" if _INSTALLED or Path(sys.argv[0]).name == "harness" else "python -m harness"
