"""The steps that a case is proved by: the same for every backend, with what the reference makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.conformance.reference import Reference
from harness.conformance.trajectories import TrajectoryCase, on_random_data
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.identity import architecture_sha256, recipe_sha256
from specs.recipe import Recipe
from specs.shapes import forward_flops

STEPS, EPOCHS = 10, 2
"""Ten steps involve momentum, a schedule (they are made in two epochs of five) and a smaller batch at the end."""

LARGE_FLOPS, LARGE_STEPS = 50_000_000, 4
"""A network that takes more than so many FLOPs a sample is proved by fewer steps: NumPy takes seconds for each."""


@dataclass(frozen=True)
class Steps:
    """A trajectory on data clear of ties, and the reference that remembers what it made of it."""

    case: TrajectoryCase
    reference: Reference


class Unprovable(Exception):
    """The reference itself cannot compute the steps; the message says why. It says nothing of any backend."""


_LATEST: dict[tuple[str, str], Steps] = {}


def steps_of(architecture: Architecture, recipe: Recipe) -> Steps:
    """The steps of a case; those of the latest are kept for the backends that are proved one after another.

    Raises Unprovable, and MemoryError.
    """
    key = architecture_sha256(architecture), recipe_sha256(recipe)
    if key not in _LATEST:
        _LATEST.clear()
        _LATEST[key] = _made(architecture, recipe)
    return _LATEST[key]


def _made(architecture: Architecture, recipe: Recipe) -> Steps:
    steps = LARGE_STEPS if forward_flops(architecture) > LARGE_FLOPS else STEPS
    made = Reference()
    try:
        with np.errstate(all="ignore"):  # a training that diverges is found below
            case = on_random_data(architecture, recipe, steps=steps, epochs=EPOCHS, name="proof")
            observed = made.observe(case)
            within = [np.isfinite(array.astype(np.float32)) for part in observed.values() for array in part.values()]
    except (RuntimeError, RequestError) as error:
        raise Unprovable(str(error)) from error
    if not all(finite.all() for finite in within):
        raise Unprovable(f"in NumPy float64 it diverges within {steps} steps, beyond what float32 can hold")
    return Steps(case, made)
