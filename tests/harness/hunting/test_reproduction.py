"""The programs for upstream reports are right: each framework prints what float64 expects where it has no fault."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from backends.registry import frameworks
from harness.conformance.reference import Reference
from harness.hunting.judging import Disagreement
from harness.hunting.reproduction import MOST_LINES, MOST_NUMBERS, NotWritten, reproduction
from harness.hunting.trial import Trial, case_of
from specs import layers as L
from specs.architecture import Architecture
from specs.nest import Branches, Residual
from specs.optimizers import SGD

CHAIN = Architecture(
    name="chain",
    input=(1, 5, 5),
    classes=3,
    layers=(
        L.Conv2d(out_channels=3, kernel_size=(3, 2), padding=(1, 1), stride=(1, 2)),
        L.LeakyReLU(negative_slope=0.1),
        L.MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(1, 1)),
        Residual(layers=(L.Conv2d(out_channels=3, kernel_size=(1, 1), bias=False),)),
        Branches(join="concat", paths=((L.ReLU(),), (L.Sigmoid(),))),
        L.Flatten(),
        L.Dropout(p=0.3),
        L.GELU(),
        L.Linear(out_features=3),
    ),
)
OWN = {"torch", "paddle"}  # which have batch norm and average pooling too
NORMED = Architecture(
    name="normed",
    input=(2, 5, 5),
    classes=2,
    layers=(
        L.BatchNorm2d(),
        L.AvgPool2d(kernel_size=(2, 2), padding=(1, 1), count_include_pad=True),
        L.GlobalAvgPool(),
        L.Linear(out_features=2),
    ),
)


@pytest.mark.parametrize("quantity", ["logits", "gradients"])
@pytest.mark.parametrize("backend", [name for name in frameworks() if find_spec(f"backends.{name}.source")])
def test_a_program_prints_what_float64_expects(
    backend: str, quantity: str, backend_python: Callable[[str], Path], tmp_path: Path
) -> None:
    for architecture in (CHAIN, NORMED) if backend in OWN else (CHAIN,):
        trial = Trial(architecture=architecture, optimizer=SGD(), batch=2)
        case = case_of(trial)
        assert case is not None
        where = "logits" if quantity == "logits" else "input"
        expected = Reference().observe(case)[quantity][where]
        index = (1, 1) if quantity == "logits" else (1, 0, 2, 3)
        found = Disagreement(
            fault="precision", precision="float32", text="t", quantity=quantity, where=where, index=index,
            expected=float(expected[index]), actual=0.0,
        )  # fmt: skip
        program = reproduction(backend, trial, found, title="a test")
        assert isinstance(program, str), program
        assert len(program.splitlines()) <= MOST_LINES
        (tmp_path / "program.py").write_text(program)
        command = [str(backend_python(backend)), "-I", str(tmp_path / "program.py")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        want, got = (float(line.rpartition(" ")[2]) for line in done.stdout.splitlines()[-2:])
        assert got == pytest.approx(want, rel=1e-4, abs=1e-6)


def test_why_there_is_no_program_is_said() -> None:
    large = Architecture(name="large", input=(1, 30, 30), classes=2, layers=(L.Flatten(), L.Linear(out_features=2)))
    found = Disagreement(fault="precision", precision="float32", text="t", quantity="logits", where="logits")

    def why(backend: str, architecture: Architecture, found: Disagreement) -> str:
        trial = Trial(architecture=architecture, optimizer=SGD(), batch=2)
        written = reproduction(backend, trial, found, title="a test")
        assert isinstance(written, NotWritten)
        return written.why_not

    assert MOST_NUMBERS < 30 * 30
    assert why("torch", large, found) == "its arrays are too many numbers to be written out"
    assert why("mindspore", NORMED, found) == "backends/mindspore/source.py has no avg_pool2d, batch_norm2d"
    assert why("numpy", CHAIN, found) == "backends/numpy has no source.py"
    deep = Architecture(
        name="deep",
        input=(1, 2, 2),
        classes=2,
        layers=(*(L.Tanh() for _ in range(20)), L.Flatten(), L.Linear(out_features=2)),
    )
    assert why("torch", deep, found) == "it would have 42 lines, more than 40"
    losses = Disagreement(fault="formula", precision="float64", text="t", quantity="losses", where="step 2")
    assert why("torch", CHAIN, losses) == "it shows in losses; programs show logits and gradients"
