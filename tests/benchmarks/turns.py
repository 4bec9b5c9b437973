"""How the loops that are measured side by side take turns: an epoch each time a line comes on standard input.

Every loop is a program of its own, started with MODEL INPUTS THREADS. INPUTS holds train_images.npy
float32[N, 1, 28, 28], train_labels.npy int64[N], order.npy int32[epochs, N], weights.npz (the initial weights under
canonical names) and recipe.json {"batch_size": n, "optimizer": {kind: {...}}}. It answers with a line of JSON per
epoch: [seconds, [losses]].
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Loop = Callable[[str, Path, int], None]
"""Trains MODEL on INPUTS with THREADS threads, taking turns."""


def turns(epochs: int) -> Iterator[int]:
    """The number of each epoch, once it is asked for; ends when no more are."""
    for epoch in range(epochs):
        if not wait():
            return
        yield epoch


def wait() -> bool:
    """Return when the next epoch is asked for: False if none will be."""
    return bool(sys.stdin.readline())


def report(seconds: float, losses: Sequence[float]) -> None:
    """Answer with an epoch's seconds and the losses of its steps."""
    print(json.dumps([seconds, list(losses)]), flush=True)


def main(loops: dict[str, Loop]) -> None:
    """The command line of a program that has these loops."""
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=tuple(loops))
    parser.add_argument("model")
    parser.add_argument("inputs", type=Path)
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args()
    loops[arguments.loop](arguments.model, arguments.inputs, arguments.threads)
