"""Other versions of real frameworks, from a package index: proved and trained as the pinned one is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.registry import find
from harness.processes.managed import Environment
from results.store import ResultSet
from specs.program import CODE

pytestmark = pytest.mark.skipif(
    not os.environ.get("HARNESS_REAL_VERSIONS"), reason="downloads a hundred megabytes: make test-full"
)


@pytest.mark.parametrize("subject", ["keras@3.12.0", "jax@0.6.2"])
def test_another_version_computes_the_same(subject: str, tmp_path: Path) -> None:
    Environment(find(subject)).ensure(lambda line: None, verify=True)
    words = (
        "-m harness compare --models lenet5 --datasets digits --epochs 1 --repeats 1 --no-race --name pair --backends"
    )
    command = [sys.executable, *words.split(), f"{subject},{find(subject).name}", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pinned, other = ResultSet.open(tmp_path / "pair").rows()[0]
    assert other.framework_version == find(subject).version != pinned.framework_version
    assert [row.proof.status for row in (pinned, other) if row.proof] == ["proved", "proved"]
    assert pinned.test_accuracy is not None
    assert other.test_accuracy == pytest.approx(pinned.test_accuracy, abs=0.01)
