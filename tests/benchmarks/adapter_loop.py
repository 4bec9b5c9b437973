"""The harness's own loop with a backend's adapter, taking turns with the loops it is measured against.

    python tests/benchmarks/adapter_loop.py ADAPTER JOB

ADAPTER is "module:Class", JOB a file with the fields of a ``harness.worker.training.TrainingJob``. After each epoch its
answer has a third figure: the seconds that the loop took beside its calls of ``train_steps``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib import import_module
from pathlib import Path

from turns import wait

from harness.worker.job import TrainingJob
from harness.worker.reports import EpochReport, Event, Phase
from harness.worker.training import train
from specs.codec import from_plain


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("adapter")
    parser.add_argument("job", type=Path)
    arguments = parser.parse_args()
    job = from_plain(TrainingJob, json.loads(arguments.job.read_text()))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.spec.threads])
    module, _, cls = arguments.adapter.partition(":")
    backend = getattr(import_module(module), cls)()
    backend.load(threads=job.spec.threads)
    started = 0.0

    def take_turns(event: Event) -> None:
        nonlocal started
        if isinstance(event, EpochReport):
            beside = time.perf_counter() - started - event.train_seconds - event.eval_seconds
            print(json.dumps([event.train_seconds, [event.train_loss], beside]), flush=True)
        elif event != Phase(phase="training"):
            return
        if not wait():
            os._exit(0)  # frameworks' threads need no farewell
        started = time.perf_counter()

    train(backend, job, emit=take_turns)


if __name__ == "__main__":
    main()
