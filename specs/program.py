"""The program's version, and how it is typed: messages and recorded commands begin with it."""

import sys
from pathlib import Path

VERSION = "0.2.0"

# The console script of an installation; a checkout has `python -m harness` even where nothing is installed.
_INSTALLED = Path(__file__).resolve().parents[1].name == "framework_harness"
PROGRAM = "harness" if _INSTALLED or Path(sys.argv[0]).name == "harness" else "python -m harness"
