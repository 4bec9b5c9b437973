"""Every adapter beside the tutorials' own loop and the best loop written by hand, epoch by epoch in turn.

    python -m tests.benchmarks.bench [--backends B,...] [--models M,...] [--rounds N] [--threads N]

Per cell three programs train on the same MNIST samples: (a) the harness's loop with the backend's adapter, (b) the
tutorial's loop, (c) the bare loop. They take turns, and whoever is not running is stopped, so that nothing spins beside
the one that is measured. The first epoch of each, which compiles, is not counted. (a) and (c) have the environment
variables of the backend's worker, (b) has none. Cells that were measured replace their older figures in
results/reference/bench.json, from which the table in docs/performance.md is written anew. What the parent process adds
to a run is measured last.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from backends.contract import SessionSpec
from backends.registry import Registration, find, frameworks
from harness.datasets import load_dataset
from harness.inputs.prepare import dropout_seed, prepare_data, run_inputs
from harness.processes.environments import find_python
from harness.processes.launcher import worker_environment
from harness.worker.training import TrainingJob
from specs.loading import default_recipe, load_architecture
from specs.optimizers import optimizer_to_dict
from tests.benchmarks import parent
from tests.benchmarks.report import MEASURED, Cell, line, rewrite, rewrite_parent

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BACKENDS = frameworks()
# Training samples per epoch: whole batches, about half a second of work, so that turns are short.
SAMPLES = {"mlp": 25_600, "lenet5": 6_400, "cnn": 1_536, "cnn_dropout": 2_048, "alexnet": 640}
TEST_SAMPLES = 500
BARE_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class Program:
    """A loop in a process of its own, stopped while it is not its turn."""

    def __init__(self, python: Path, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [str(python), *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
        )

    def epoch(self) -> tuple[float, list[float], float]:
        """Train an epoch: its seconds, the losses of its steps, and the seconds spent beside them where it says so."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        for text in self._process.stdout:
            if text.startswith("[") and text.rstrip().endswith("]"):
                self._process.send_signal(signal.SIGSTOP)
                seconds, losses, *beside = json.loads(text)
                return seconds, losses, beside[0] if beside else 0.0
        raise RuntimeError(f"{self._process.args!r} ended: {self._log.read_text()[-2000:]}")

    def end(self) -> None:
        """Kill it: it has nothing to lose."""
        self._process.kill()
        self._process.wait()


def measure(backend: str, model: str, *, rounds: int, threads: int) -> Cell:
    """Measure one cell."""
    registration = find(backend)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as programs:
        loops = {
            name: programs.enter_context(_ended(program))
            for name, program in _programs(registration, model, Path(folder), rounds=rounds, threads=threads)
        }
        first = {name: loop.epoch() for name, loop in loops.items()}
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        beside = 0.0
        for number in range(rounds):
            for name in random.Random(number).sample(sorted(loops), len(loops)):
                spent, _, other = loops[name].epoch()
                seconds[name].append(spent)
                beside += other
    losses = {name: sum(values) / len(values) for name, (_, values, _) in first.items()}
    share = beside / (beside + sum(seconds["adapter"]))
    return Cell(backend, model, SAMPLES[model], threads, seconds, losses, share)


def _programs(
    registration: Registration, model: str, folder: Path, *, rounds: int, threads: int
) -> Iterator[tuple[str, Program]]:
    architecture = load_architecture(model)
    recipe = replace(default_recipe(model), epochs=rounds + 1)
    data = prepare_data(
        load_dataset("mnist", None), recipe.preprocessing, limit_train=SAMPLES[model], limit_test=TEST_SAMPLES
    )
    run_inputs(architecture, recipe, seed=0, samples=SAMPLES[model]).write(folder)
    job = TrainingJob(
        spec=SessionSpec(
            architecture=architecture,
            optimizer=recipe.optimizer,
            threads=threads,
            seed=dropout_seed(0),
            tuning="expert",
        ),
        data=str(data.folder),
        inputs=str(folder),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
    )
    (folder / "job.json").write_text(json.dumps(job.to_dict()))
    settings = {"batch_size": recipe.batch_size, "optimizer": optimizer_to_dict(recipe.optimizer)}
    (folder / "recipe.json").write_text(json.dumps(settings))
    (folder / "weights.npz").symlink_to("initial_weights.npz")
    for file in ("train_images.npy", "train_labels.npy"):
        (folder / file).symlink_to(data.folder / file)

    tuned = worker_environment(registration, architecture=architecture, threads=threads, tuning="expert")
    plain = {name: os.environ[name] for name in BARE_VARIABLES if name in os.environ}
    python = find_python(registration.name, None)
    for name, arguments, environment in (
        ("adapter", ["adapter_loop.py", registration.adapter, "job.json"], tuned),
        ("tutorial", [f"{registration.name}_peers.py", "tutorial", model, ".", str(threads)], plain),
        ("bare", [f"{registration.name}_peers.py", "bare", model, ".", str(threads)], tuned),
    ):
        path = os.pathsep.join([str(HERE), *([str(ROOT)] if name == "adapter" else [])])
        program, *rest = arguments
        rest = [str(folder / word) if word in (".", "job.json") else word for word in rest]
        yield (
            name,
            Program(python, [str(HERE / program), *rest], {**environment, "PYTHONPATH": path}, folder / f"{name}.log"),
        )


@contextmanager
def _ended(program: Program) -> Iterator[Program]:
    try:
        yield program
    finally:
        program.end()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--models", default=",".join(SAMPLES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    for model in arguments.models.split(","):
        for backend in arguments.backends.split(","):
            cell = measure(backend, model, rounds=arguments.rounds, threads=arguments.threads)
            rewrite(cell)
            print(line(cell), flush=True)
    rewrite_parent(parent.measure())
    print(f"the figures are in {MEASURED.relative_to(ROOT)}, the table in docs/performance.md", file=sys.stderr)


if __name__ == "__main__":
    main()
