"""The command line with the fake backend: ``python -m tests.reliability.cli_with_fakes BEHAVIOUR WORDS…``.

Signals do here what they do in a terminal: under nohup, or behind a shell's ``&``, the tests were started with some
ignored, and this process with them.
"""

from __future__ import annotations

import json
import signal
import sys

from harness.cli import main
from tests.fakes import registered

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    behaviour = json.loads(sys.argv.pop(1))
    with registered(**behaviour):
        main()
