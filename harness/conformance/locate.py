"""Naming the layer at fault when a whole network differs."""

from __future__ import annotations

import numpy as np

from backends.contract import Unsupported
from backends.numpy_backend import NumpySession
from harness.conformance.case import Case, NetworkCase, described, draw_parameters, seeded
from harness.conformance.judge import Open, compare, observe
from harness.conformance.layer_cases import isolated
from harness.conformance.reference import Reference
from harness.conformance.trajectories import TrajectoryCase, initial
from specs.shapes import ShapedLayer, infer

# In the order in which a difference shows: what a layer gives, then what it hands back.
_DIRECTIONS = {"logits": "forward", "loss": "forward", "running estimates": "forward", "gradients": "backward"}


def first_difference(case: Case, open_session: Open, reference: Reference, precision: str) -> str:
    """One line naming the first layer that differs when each is fed what the reference fed it.

    Every layer is put in a network of its own with its own weights (a trajectory's are those it starts from), so that
    an error made before it cannot reach it.
    """
    if isinstance(case, TrajectoryCase):
        case = _first_batch(case)
    if not isinstance(case, NetworkCase):
        return ""
    session = NumpySession(case.spec("float64"))
    session.load_parameters(case.parameters)
    activations = session.activations(case.images, training=True, masks=case.masks)
    fed = [case.images.astype(np.float64), *activations.values()]
    for shaped, x in zip(infer(case.architecture), fed, strict=False):
        alone = _alone(case, shaped, x.astype(np.float32))
        try:
            measured = compare(alone, observe(alone, open_session, precision), reference, precision)
        except Unsupported:
            continue
        except Exception as error:  # the backend's failure: as much a finding as a wrong number
            return f"first differs at {shaped.name}, which fails alone: {type(error).__name__}: {error}"
        for quantity, direction in _DIRECTIONS.items():
            if quantity in measured and not measured[quantity].passed:
                found = measured[quantity]
                return (
                    f"first differs at {shaped.name} {direction}: {described(shaped.layer)} "
                    f"({found.where}: {found.error:.1e}, tolerance {found.limit:.0e})"
                )
    return "no layer differs alone: the difference lies in how they are put together, trained or evaluated"


def _first_batch(case: TrajectoryCase) -> NetworkCase:
    batch = case.batches[0]
    return NetworkCase(
        name=f"{case.name}, first batch",
        architecture=case.architecture,
        parameters=initial(case.architecture, case.recipe, np.dtype(np.float32)),
        images=case.images[batch],
        labels=case.labels[batch],
        masks=case.masks[0],
        tuning=case.tuning,
    )


def _alone(case: NetworkCase, shaped: ShapedLayer, x: np.ndarray) -> NetworkCase:
    """The layer of ``case`` in isolation on the input ``x``."""
    architecture = isolated(shaped.layer, shaped.input_shape)
    name = f"{shaped.name} of {case.name}"
    generator = seeded(name)
    # In isolation a layer is the first of its kind: conv2d_3.weight becomes conv2d_1.weight.
    kept = {
        full.replace(f"{shaped.name}.", f"{shaped.layer.kind}_1."): case.parameters[full]
        for full in (*shaped.parameters, *shaped.buffers)
    }
    return NetworkCase(
        name=name,
        architecture=architecture,
        parameters={**draw_parameters(architecture, generator), **kept},
        images=x.reshape(len(x), *architecture.input),
        labels=generator.integers(architecture.classes, size=len(x)),
        masks={f"{shaped.layer.kind}_1": case.masks[shaped.name]} if shaped.name in case.masks else {},
        tuning=case.tuning,
    )
