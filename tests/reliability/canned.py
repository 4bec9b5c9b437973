"""A worker process that answers at once, so that thousands of runs take seconds.

It is a shell script in the interpreter's place: a process of its own with the real pipes and the real log, speaking
the real protocol, its answers made beforehand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from backends.contract import Description
from harness.worker.protocol import Channel
from harness.worker.reports import Disturbance, EpochReport, Figures, Loaded, TimedSpan
from specs.codec import to_plain

SCRIPT = """#!/bin/sh
# called as: -m harness.worker READ_FD WRITE_FD PARENT; dd takes one request from the pipe
request() {{ dd bs=65536 count=1 status=none < /proc/self/fd/$1 > /dev/null; }}
cat {answers}/hello > /proc/self/fd/$4
request $3
echo "the framework says hello"
cat {answers}/load > /proc/self/fd/$4
request $3
cat {answers}/train > /proc/self/fd/$4
request $3
"""


def canned_worker(folder: Path, *, samples: int = 20, test_samples: int = 20, classes: int = 3) -> Path:
    """The path of such an interpreter, for runs of one epoch on ``tests.harness.plans.dataset(samples)``."""
    folder.mkdir(parents=True, exist_ok=True)
    epoch = EpochReport(
        epoch=1,
        train_loss=0.5,
        test_loss=0.6,
        test_accuracy=0.35,
        train_seconds=0.01,
        eval_seconds=0.001,
        samples_per_second=samples / 0.01,
        spans=(TimedSpan(steps=3, samples=samples, seconds=0.01),),
    )
    framework = Description(framework_version="1.0", devices=("cpu",), precisions=("float32",))
    load = to_plain(Loaded(framework=framework, python="3", import_s=0.1))
    train = to_plain(
        Figures(
            test_loss=0.6,
            test_accuracy=0.35,
            initial_test_loss=1.0,
            initial_test_accuracy=0.3,
            build_s=0.001,
            first_step_s=0.001,
            peak_rss_mb=50.0,
            busy_threads=1.0,
            disturbance=Disturbance(steal=0.0, other_cpu=0.0, involuntary_context_switches=0),
        )
    )
    logits = np.zeros((test_samples, classes))
    logits[:, 0] = 1
    arrays = {"losses": np.array([1.0, 0.5, 0.4]), "logits": logits, "step_s": np.array([0.001, 0.002])}
    _write(folder / "hello", [("hello", {"pid": 1}, {})])
    _write(folder / "load", [("result", load, {})])
    _write(folder / "train", [("event", to_plain(epoch), {}), ("result", train, arrays)])
    script = folder / "python"
    script.write_text(SCRIPT.format(answers=folder))
    script.chmod(0o755)
    return script


def _write(file: Path, messages: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    channel = Channel(descriptor, descriptor)
    for message in messages:
        channel.send(*message)
    channel.close()
