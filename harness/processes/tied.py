"""``python -m harness.processes.tied PARENT COMMAND…``: a command that does not outlive the process PARENT.

pip and ensurepip start processes of their own, while the kernel tells the death of a parent to one process alone. So
this one is between, leads the process group of them all, and ends the group when it is told. It must be started as the
leader of a new session. A file that it was given open, the lock of what the command writes say, is open until then.
"""

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Run the command; its exit status, of one that a signal ended 128 and the signal's number."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above
        return 1
    status = subprocess.call(command)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
