"""``profile`` with real frameworks, on a network small enough that a slow convolution does not take minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent.parent
CPUINFO = Path("/proc/cpuinfo")
NETWORK = """
name: small
input: [1, 28, 28]
classes: 10
layers:
  - conv2d: {out_channels: 8, kernel_size: 5, padding: 2}
  - relu
  - flatten
  - linear: {out_features: 10}
"""


def profile(words: str, folder: Path) -> dict[str, Any]:
    """What ``profile --json`` prints of NETWORK, with one thread so that a busy machine disturbs less."""
    (folder / "small.yaml").write_text(NETWORK)
    command = [
        sys.executable,
        "-m",
        "harness",
        "profile",
        "--model",
        "small.yaml",
        "--threads",
        "1",
        "--batch-size",
        "8",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *words.split(), "--json", "--quiet"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.long
def test_a_real_pair_is_profiled_side_by_side(tmp_path: Path, backend_python: Callable[[str], Path]) -> None:
    backend_python("torch")
    found = profile("--backend torch,numpy", tmp_path)
    assert list(found["backends"]) == ["torch", "numpy"]
    assert found["matmul_peak_gflops"] > 0
    for one in found["backends"].values():
        assert [layer["name"] for layer in one["layers"]] == ["conv2d_1", "relu_1", "flatten_1", "linear_1"]
        assert one["whole"]["ms"] > 0
        conv = one["layers"][0]
        assert conv["forward_flops"] == conv["backward_flops"] == 8 * 2 * 25 * 8 * 28 * 28
        assert conv["both"]["ms"] is None or conv["gflops"] > 0
    numpy = found["backends"]["numpy"]["layers"]
    assert numpy[0]["both"]["ms"] > (numpy[2]["both"]["ms"] or 0), "a convolution costs more than a reshape"


@pytest.mark.long
def test_the_convolution_on_a_reference_kernel_is_found(tmp_path: Path, backend_python: Callable[[str], Path]) -> None:
    """MindSpore 2.10 as it comes, on a CPU with AVX-512: its convolution is far from what the others do."""
    if "avx512f" not in CPUINFO.read_text():
        pytest.skip("this CPU has no AVX-512, without which MindSpore's convolution takes a fast kernel")
    for name in ("mindspore", "torch"):
        backend_python(name)
    found = profile("--backend mindspore,torch --tuning default", tmp_path)
    said = [sentence for sentence in found["slow"]["mindspore"] if sentence.startswith("conv2d_1 is ")]
    assert len(said) == 1, found
    assert "times slower on mindspore than on torch" in said[0]
    assert "forward " in said[0]
