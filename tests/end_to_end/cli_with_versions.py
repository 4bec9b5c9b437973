"""The command line with a backend in several versions: ``python -m tests.end_to_end.cli_with_versions PINS WORDS…``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

from backends import registry
from harness.cli import main
from tests.end_to_end.versioned import MANY, ManyBackend

if __name__ == "__main__":
    with (
        patch.object(registry, "REQUIREMENTS", Path(sys.argv.pop(1))),
        patch.dict(registry.BACKENDS, {MANY.name: MANY}),
        patch.dict(os.environ, {ManyBackend.variable: '{"step_s": 0.001}'}),
    ):
        main()
