"""The main line with real frameworks: the literal commands of the README, on embedded and on real data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from backends.registry import frameworks
from harness.datasets import find_mnist
from results.record import Record

ALONE = pytest.mark.alone
"""The runs of LeNet-5 have every processor and train with several threads, those of the MLP share the machine."""

ROOT = Path(__file__).parent.parent.parent
FRAMEWORKS = frameworks()


def harness(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600)


def noise(file: Path) -> None:
    """Random images of ten classes, told apart by a brighter row.

    Images with a constant background, as digits have, make exact ties in max pooling, which the last bit of a float32
    convolution decides: backends that are all right then part after a dozen steps. Noise has no ties.
    """
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 640), ("test", 200)):
        labels = generator.integers(0, 10, count)
        images = generator.integers(0, 180, (count, 28, 28), dtype=np.uint8)
        images[np.arange(count), labels * 2 + 4] += 70
        arrays |= {f"{part}_images": images, f"{part}_labels": labels}
    np.savez(file, **arrays)


@pytest.fixture(scope="module")
def record(
    tmp_path_factory: pytest.TempPathFactory, backend_python: Callable[[str], Path]
) -> Callable[[str, str], Record]:
    """``record(backend, model)``: two epochs on ``noise``, run once for all tests of this module."""
    folder = tmp_path_factory.mktemp("runs")
    noise(folder / "noise.npz")

    @cache
    def run(backend: str, model: str) -> Record:
        backend_python(backend)
        words = f"run --backend {backend} --model {model} --dataset noise.npz --epochs 2 --json"
        done = harness(*words.split(), cwd=folder)
        assert done.returncode == 0, done.stderr
        return Record.from_json(done.stdout)

    return run


@pytest.mark.parametrize("model", ["mlp", pytest.param("lenet5", marks=ALONE)])
@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_every_framework_starts_as_numpy_does(backend: str, model: str, record: Callable[[str, str], Record]) -> None:
    """Equal fingerprints; without dropout the losses of the first 20 steps agree with NumPy's to 1e-4 relative."""
    ours, reference = record(backend, model), record("numpy", model)
    assert ours.status == "ok"
    assert ours.fingerprints == reference.fingerprints
    assert ours.curve is not None
    assert reference.curve is not None
    steps = min(20, len(reference.curve.first))
    np.testing.assert_allclose(ours.curve.first[:steps], reference.curve.first[:steps], rtol=1e-4)


@ALONE
@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_a_record_is_complete(backend: str, record: Callable[[str, str], Record]) -> None:
    ours = record(backend, "lenet5")
    assert ours.framework_version
    assert ours.environment.packages
    assert ours.memory.after_import_rss_mb
    assert ours.memory.peak_rss_mb
    assert ours.throughput.train_samples_per_second
    assert ours.throughput.inference_samples_per_second
    assert ours.throughput.step_ms
    assert ours.phases.import_s
    assert ours.busy_threads
    assert len(ours.epochs) == 2
    assert ours.tuning.manner == "recommended"
    assert ours.proof is not None
    assert ours.proof.status == "proved", ours.proof.told


def test_dropout_and_the_other_optimizers_train(record: Callable[[str, str], Record]) -> None:
    """cnn_dropout (Adadelta) learns; its masks come from the framework's own generator."""
    ours = record("torch", "cnn_dropout")
    assert ours.epochs[-1].train_loss is not None
    assert ours.epochs[0].train_loss is not None
    assert ours.epochs[-1].train_loss < ours.epochs[0].train_loss


@ALONE
def test_real_mnist(tmp_path: Path, backend_python: Callable[[str], Path]) -> None:
    """PyTorch on 6,000 images of real MNIST; skipped where there is none."""
    backend_python("torch")
    if find_mnist() is None:
        pytest.skip("no MNIST here: type python -m harness data fetch mnist, or set HARNESS_DATA_DIR")
    words = "run --backend pytorch --model lenet5 --epochs 1 --limit-train 6000 --limit-test 2000 --json"
    done = harness(*words.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = Record.from_json(done.stdout)
    assert kept.test_accuracy is not None
    assert kept.test_accuracy > 0.7
    images = tmp_path / "results" / "runs" / "images" / "mnist"
    assert {file.stem for file in images.iterdir()} == {str(m.index) for m in kept.misclassified}


WRONG = [
    ("run --backend torhc --model lenet5", "did you mean 'torch'?"),
    ("run --backend numpy --model lenet", "did you mean 'lenet5'?"),
    ("run --backend numpy --model lenet5 --dataset digit", "digits"),
    ("run --backend numpy --model lenet5 --recipe lenet", "did you mean 'lenet5'?"),
    ("run --backend numpy --model lenet5 --dataset digits --epochs 0", "epochs must be from 1"),
    ("run --backend numpy --model lenet5 --dataset digits --batch-size -3", "batch_size must be from 1"),
    ("run --backend numpy --model lenet5 --dataset digits --threads 999", "--threads must be from 1"),
    ("run --backend numpy --model lenet5 --dataset digits --device cdua", "did you mean 'cuda'?"),
    ("run --backend numpy --model lenet5 --dataset digits --device cuda", "cuda"),
    ("run --backend numpy --model lenet5 --dataset digits --precision float23", "did you mean 'float32'?"),
    ("run --backend numpy --model lenet5 --dataset digits --limit-train 0", "--limit-train must be from 1"),
    ("run --backend numpy --model lenet5 --dataset digits --tuning maybe", "tuning"),
    ("run --backend numpy --model lenet5 --dataset digits --python /nowhere/python", "not an executable"),
    ("run --backend numpy --model nothing.yaml", "nothing.yaml: no such file"),
    ("run --backend numpy --model lenet5 --dataset digits --timeout 0", "--timeout must be above 0"),
    ("compare --backends torch,kears", "did you mean 'keras'?"),
    ("compare --seeds 1,x", "--seeds must be integers"),
    ("compare --dataset mnits --model lenet5", "did you mean 'mnist'?"),
    ("shwo lenet5", "show"),
]


@pytest.mark.parametrize(("words", "hint"), WRONG)
def test_a_wrong_request_is_one_line_and_status_2(words: str, hint: str, tmp_path: Path) -> None:
    done = harness(*words.split(), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
