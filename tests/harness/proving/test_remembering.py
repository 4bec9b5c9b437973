"""A proof is used again for the same content alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest

from backends.registry import find
from harness.planning.plan import RunPlan
from harness.proving import remembering
from harness.proving.remembering import remembered
from results.record import Proof
from specs.layers import Linear, ReLU
from tests.harness.plans import plan

PROVED = Proof(status="proved", steps=10, error=1e-7, limit=1e-4)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``made(plan, proof)``: how many proofs had to be made until the plan was proved."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    count = 0
    environment = tmp_path / "env" / "bin" / "python"
    environment.parent.mkdir(parents=True)
    environment.symlink_to(sys.executable)
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")

    def ask(planned: RunPlan, proof: Proof = PROVED, python: Path = environment) -> int:
        def prove() -> Proof:
            nonlocal count
            count += 1
            return proof

        assert remembered(planned, python, prove) == proof
        return count

    return ask


PLAN = plan(find("numpy"))
DEEPER = (*PLAN.architecture.layers, ReLU(), Linear(out_features=3))


def test_the_same_content_is_proved_once(made: Callable[..., int]) -> None:
    assert made(PLAN) == 1
    assert made(PLAN) == 1
    named = replace(PLAN, architecture=replace(PLAN.architecture, name="other", title="another name"), seed=3)
    assert made(named) == 1, "names and seeds are no content of a proof"


@pytest.mark.parametrize(
    "changed",
    [
        replace(PLAN, threads=PLAN.threads + 1),
        replace(PLAN, tuning="expert"),
        replace(PLAN, precision="float64"),
        replace(PLAN, device="cuda"),
        replace(PLAN, backend=find("torch")),
        replace(PLAN, recipe=replace(PLAN.recipe, batch_size=PLAN.recipe.batch_size + 1)),
        replace(PLAN, recipe=replace(PLAN.recipe, label_smoothing=0.1)),
        replace(
            PLAN,
            architecture=replace(PLAN.architecture, layers=(*PLAN.architecture.layers, ReLU(), Linear(out_features=3))),
        ),
    ],
)
def test_other_content_is_proved_anew(made: Callable[..., int], changed: RunPlan) -> None:
    assert made(PLAN) == 1
    assert made(changed) == 2


def test_another_package_instruction_set_or_code_is_proved_anew(
    made: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made(PLAN) == 1
    packages = tmp_path / "env" / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    (packages / "numpy-2.4.0.dist-info").mkdir(parents=True)
    assert made(PLAN) == 2
    monkeypatch.setattr(remembering, "instruction_sets", lambda: "sse2")
    assert made(PLAN) == 3
    monkeypatch.setattr(remembering, "_code", lambda: "edited")
    assert made(PLAN) == 4
    assert made(PLAN) == 4


def test_another_gpu_or_path_of_libraries_is_proved_anew(
    made: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache lies in a home that machines may share."""
    on_gpu = replace(PLAN, device="cuda")
    assert (made(PLAN), made(on_gpu)) == (1, 2)
    monkeypatch.setattr(remembering, "gpus", lambda: "NVIDIA V100")
    assert (made(PLAN), made(on_gpu)) == (2, 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert (made(PLAN), made(on_gpu)) == (3, 4)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/blas")
    assert (made(PLAN), made(on_gpu)) == (5, 6)


def test_the_packages_are_those_of_the_interpreter_that_a_script_starts(
    made: Callable[..., int], tmp_path: Path
) -> None:
    """Beside a script that starts an interpreter lie no packages, and they change all the same."""
    packages = tmp_path / "elsewhere"
    (packages / "torch-2.13.0.dist-info").mkdir(parents=True)
    script = tmp_path / "activated"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.path.append({str(packages)!r}); $3"\n')
    script.chmod(0o755)
    assert made(PLAN, python=script) == 1
    assert made(PLAN, python=script) == 1
    (packages / "torch-2.13.0.dist-info").rename(packages / "torch-2.14.0.dist-info")
    assert made(PLAN, python=script) == 2


def test_of_an_interpreter_that_does_not_start_nothing_is_remembered(made: Callable[..., int], tmp_path: Path) -> None:
    assert [made(PLAN, python=tmp_path / "none") for _ in range(2)] == [1, 2]


def test_a_failure_of_the_worker_is_tried_again(made: Callable[..., int]) -> None:
    broken = Proof(status="failed", steps=10, reason="crashed: the worker was ended by SIGSEGV")
    assert made(PLAN, broken) == 1
    assert made(PLAN, broken) == 2
    assert made(PLAN) == 3


def test_a_damaged_file_is_proved_anew(made: Callable[..., int], tmp_path: Path) -> None:
    assert made(PLAN) == 1
    (file,) = (tmp_path / "framework-harness" / "proofs").iterdir()
    file.write_text('{"status": "pro')
    assert made(PLAN) == 2
    assert made(PLAN) == 2
