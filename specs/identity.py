"""The fingerprints of networks and recipes: of what they compute, not of their names nor of how they are written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from specs import nest
from specs.architecture import Architecture
from specs.codec import to_plain
from specs.nodes import is_chain
from specs.recipe import Recipe
from specs.shapes import infer


def architecture_sha256(architecture: Architecture) -> str:
    """SHA-256 over input, classes and layers; of a network that is no chain, over its nodes and their inputs."""
    nodes = infer(architecture)
    content: dict[str, Any] = {"input": list(architecture.input), "classes": architecture.classes}
    if is_chain(nodes):
        content["layers"] = to_plain(nest.unrolled(architecture.layers))
    else:
        content["nodes"] = [[node.name, to_plain(node.layer), list(node.inputs)] for node in nodes]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def recipe_sha256(recipe: Recipe) -> str:
    """SHA-256 over all that a recipe makes of a training, its labels and targets left out."""
    labels = ("name", "title", "source", "architecture", "dataset", "targets")
    content = {key: value for key, value in to_plain(recipe).items() if key not in labels}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
