"""Every manner of using a framework beside its tutorials' own loop and the best loop written by hand, in turn.

    python -m tests.benchmarks.bench [--backends B,...] [--models M,...] [--rounds N] [--threads N] [--again]

A cell is a backend and a model. Up to five programs train on the same MNIST samples: the harness's loop with the
backend in each of its manners, the tutorial's loop, and the bare loop (the latter two from NAME_peers.py, where there
is one). They take turns of an epoch in an order that changes from round to round, and whoever is not running is
stopped, so that nothing spins beside the one that is measured. The first epoch of each, which compiles, is not
counted. A manner has the environment variables of a run's worker in that manner; the bare loop has those of the
fastest one, the tutorial's has none.

A measured cell replaces its older figures in results/reference/bench.json at once, from which the table in
docs/performance.md is written anew. What was measured of the same code on this machine is not measured again, so a
bench that was interrupted goes on where it stopped. What the parent process adds to a run is measured last.
"""

from __future__ import annotations

import argparse
import hashlib
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
from harness.worker.job import TrainingJob
from specs.codec import to_plain
from specs.loading import default_recipe, load_architecture
from tests.benchmarks import parent
from tests.benchmarks.report import MEASURED, Cell, line, measured, rewrite, rewrite_parent, write_page

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BACKENDS = frameworks()
# Training samples per epoch: whole batches, about half a second of work, so that turns are short.
SAMPLES = {"mlp": 25_600, "lenet5": 6_400, "cnn": 1_536, "cnn_dropout": 2_048, "alexnet": 640}
TEST_SAMPLES = 300
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


def measure(backend: str, model: str, *, dataset: str, rounds: int, threads: int, samples: int) -> Cell:
    """Measure one cell on ``samples`` training samples of a data set."""
    registration = find(backend)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as programs:
        job = _prepare(Path(folder), model, dataset, rounds=rounds, threads=threads, samples=samples)
        loops = {
            name: programs.enter_context(_ended(program))
            for name, program in _programs(registration, job, Path(folder))
        }
        first = {name: loop.epoch() for name, loop in loops.items()}
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        beside = dict.fromkeys(loops, 0.0)
        for number in range(rounds):
            for name in random.Random(number).sample(sorted(loops), len(loops)):
                spent, _, other = loops[name].epoch()
                seconds[name].append(spent)
                beside[name] += other
    return Cell(
        backend=backend,
        model=model,
        samples=samples,
        threads=threads,
        code=code(registration),
        seconds=seconds,
        losses={name: sum(values) / len(values) for name, (_, values, _) in first.items()},
        beside={name: spent / (spent + sum(seconds[name])) for name, spent in beside.items() if spent},
    )


def code(registration: Registration) -> str:
    """A digest of what a cell's figures depend on within this tree: the adapter, its framework's pins, its peers."""
    adapter = sorted((ROOT / "backends" / registration.name).rglob("*.py"))
    shared = sorted((ROOT / "backends").glob("*.py"))
    digest = hashlib.sha256()
    for file in (*adapter, *shared, registration.requirements, *_peers(registration)):
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _peers(registration: Registration) -> list[Path]:
    """The file with the tutorial's and the bare loop, if there is one."""
    return list(HERE.glob(f"{registration.name}_peers.py"))


def _prepare(folder: Path, model: str, dataset: str, *, rounds: int, threads: int, samples: int) -> TrainingJob:
    """Lay out in ``folder`` what all programs are given alike (see ``turns``); the job of a manner, whichever."""
    architecture, recipe = load_architecture(model), replace(default_recipe(model), epochs=rounds + 1)
    data = prepare_data(load_dataset(dataset, None), recipe.preprocessing, limit_train=samples, limit_test=TEST_SAMPLES)
    run_inputs(architecture, recipe, seed=0, samples=samples).write(folder)
    settings = {"batch_size": recipe.batch_size, "optimizer": to_plain(recipe.optimizer)}
    (folder / "recipe.json").write_text(json.dumps(settings))
    (folder / "weights.npz").symlink_to("initial_weights.npz")
    for file in ("train_images.npy", "train_labels.npy"):
        (folder / file).symlink_to(data.folder / file)
    return TrainingJob(
        spec=SessionSpec(architecture=architecture, optimizer=recipe.optimizer, threads=threads, seed=dropout_seed(0)),
        data=data.folder,
        inputs=folder,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
    )


def _programs(registration: Registration, job: TrainingJob, folder: Path) -> Iterator[tuple[str, Program]]:
    python = find_python(registration.name, None)
    model, threads = job.spec.architecture, job.spec.threads
    manners = registration.create().manners
    environments = {
        manner: worker_environment(registration, architecture=model, threads=threads, tuning=manner)
        for manner in manners
    }
    for manner, environment in environments.items():
        file = folder / f"{manner}.json"
        file.write_text(json.dumps(to_plain(replace(job, spec=replace(job.spec, tuning=manner)))))
        loop = [str(HERE / "adapter_loop.py"), registration.adapter, str(file)]
        path = os.pathsep.join([str(HERE), str(ROOT)])
        yield manner, Program(python, loop, {**environment, "PYTHONPATH": path}, folder / f"{manner}.log")
    plain = {name: os.environ[name] for name in BARE_VARIABLES if name in os.environ}
    for peers in _peers(registration):
        for name, environment in (("tutorial", plain), ("bare", environments[manners[-1]])):
            loop = [str(peers), name, model.name, str(folder), str(threads)]
            yield name, Program(python, loop, {**environment, "PYTHONPATH": str(HERE)}, folder / f"{name}.log")


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
    parser.add_argument("--again", action="store_true", help="measure what was measured of this code before, too")
    arguments = parser.parse_args()
    write_page()
    for model in arguments.models.split(","):
        for backend in arguments.backends.split(","):
            if not arguments.again and measured(backend, model, code=code(find(backend)), threads=arguments.threads):
                print(f"{backend:10} {model:12} is measured already", flush=True)
                continue
            cell = measure(
                backend,
                model,
                dataset="mnist",
                rounds=arguments.rounds,
                threads=arguments.threads,
                samples=SAMPLES[model],
            )
            rewrite(cell)
            print(line(cell), flush=True)
    rewrite_parent(parent.measure())
    print(f"the figures are in {MEASURED.relative_to(ROOT)}, the table in docs/performance.md", file=sys.stderr)


if __name__ == "__main__":
    main()
