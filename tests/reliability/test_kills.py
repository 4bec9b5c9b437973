"""The parent killed with SIGKILL at 100 random moments of a fast sweep, and resumed after each.

HARNESS_KILLS asks for more (``make test-full``: 1,000).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("HARNESS_KILLS", "100"))


def test_every_planned_run_is_there_once_after_all_kills(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.killed_parent", str(tmp_path / "sets"), str(KILLS), "20"],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    counts = json.loads(done.stdout)
    print(counts)
    assert counts["kills"] >= KILLS
    assert counts["torn"] >= KILLS // 10  # the moments that matter most were met
    assert counts["half written"] >= 1
