"""The fingerprint of a network: of what it computes, not of its name nor of how its nest is written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from specs import nest
from specs.architecture import Architecture
from specs.nodes import is_chain
from specs.shapes import infer


def architecture_sha256(architecture: Architecture) -> str:
    """SHA-256 over input, classes and layers; of a network that is no chain, over its nodes and their inputs."""
    nodes = infer(architecture)
    content: dict[str, Any] = {"input": list(architecture.input), "classes": architecture.classes}
    if is_chain(nodes):
        content["layers"] = nest.to_data(nest.unrolled(architecture.layers))
    else:
        content["nodes"] = [[node.name, {node.layer.kind: asdict(node.layer)}, list(node.inputs)] for node in nodes]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
