"""Naming the layer at fault when a whole network differs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backends.contract import Unsupported
from backends.numpy.session import NumpySession
from harness.conformance.case import ConformanceCase, NetworkCase, draw_parameters, seeded
from harness.conformance.judge import Measurement, Open, compare, observe
from harness.conformance.layer_cases import isolated
from harness.conformance.reference import Reference
from harness.conformance.trajectories import TrajectoryCase, initial
from specs.layers import Flatten, Join
from specs.nodes import INPUT, Node
from specs.shapes import infer

_ORDER = (
    ("logits", "forward"),
    ("running statistics", "forward"),
    ("loss", "forward in training"),
    ("gradients", "backward"),
    ("step", "backward in a training step"),
)


def first_difference(case: ConformanceCase, open_session: Open, reference: Reference, precision: str) -> str:
    """One line naming the first layer that differs when each is fed what the reference fed it.

    Every layer is put in a network of its own with its own weights (a trajectory's are those it starts from), so that
    an error made before it cannot reach it. Forward is looked at in all layers first, then the loss, then backward:
    each would make those after it differ too.
    """
    if isinstance(case, TrajectoryCase):
        case = _first_batch(case)
    if not isinstance(case, NetworkCase):
        return ""
    measured: dict[str, dict[str, Measurement]] = {}
    for shaped, alone in layers_alone(case):
        try:
            measured[shaped.name] = compare(alone, observe(alone, open_session, precision), reference, precision)
        except Unsupported:
            continue
        except Exception as error:  # the backend's failure: as much a finding as a wrong number
            return f"{shaped.name} fails alone: {type(error).__name__}: {error}"
    for quantity, direction in _ORDER:
        failed = {
            name: found[quantity]
            for name, found in measured.items()
            if quantity in found and not found[quantity].passed
        }
        if failed:
            # Layers that give images are seen through a flatten: where flatten itself differs, they all seem to.
            name = next((name for name in failed if name.startswith(Flatten.kind)), next(iter(failed)))
            worst = failed[name]
            everywhere = quantity == "loss" and len(failed) == len(measured)
            where = "the loss itself differs" if everywhere else f"first differs at {name} {direction}"
            return f"{where} ({worst.where}: {worst.error:.1e}, tolerance {worst.limit:.0e})"
    return "no layer differs alone: the difference lies in how they are put together or in a sum of small errors"


def _first_batch(case: TrajectoryCase) -> NetworkCase:
    batch = case.batches[0]
    return NetworkCase(
        name=f"{case.name}, first batch",
        architecture=case.architecture,
        parameters=initial(case.architecture, case.recipe, np.dtype(np.float32)),
        images=case.images[batch],
        labels=case.labels[batch],
        dropout_masks=case.dropout_masks[0],
    )


def layers_alone(case: NetworkCase) -> Iterator[tuple[Node, NetworkCase]]:
    """Every layer of ``case`` in isolation on what reaches it in the reference."""
    session = NumpySession(case.spec("float64"))
    session.load_parameters(case.parameters)
    activations = session.activations(case.images, training=True, dropout_masks=case.dropout_masks)
    activations = {INPUT: case.images, **activations}
    for shaped in infer(case.architecture):
        if isinstance(shaped.layer, Join):  # compared as part of whole networks alone, as yet
            continue
        x = activations[shaped.inputs[0]]
        architecture = isolated(shaped.layer, shaped.input_shape)
        name = f"{shaped.name} of {case.name}"
        generator = seeded(name)
        # In isolation a layer is the first of its kind: conv2d_3.weight becomes conv2d_1.weight.
        kept = {
            full.replace(f"{shaped.name}.", f"{shaped.layer.kind}_1."): case.parameters[full]
            for full in (*shaped.parameters, *shaped.buffers)
        }
        yield (
            shaped,
            NetworkCase(
                name=name,
                architecture=architecture,
                parameters={**draw_parameters(architecture, generator), **kept},
                images=x.astype(np.float32).reshape(len(x), *architecture.input),
                labels=generator.integers(architecture.classes, size=len(x)),
                dropout_masks={f"{shaped.layer.kind}_1": case.dropout_masks[shaped.name]}
                if shaped.name in case.dropout_masks
                else {},
            ),
        )
