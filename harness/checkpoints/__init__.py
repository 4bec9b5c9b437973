"""Checkpoints: a trained network in a folder that every backend can load, whichever one trained it.

    model.safetensors      parameters and buffers under canonical names, in canonical layout
    optimizer.safetensors  the optimizer's state: "step", int64[], and "<parameter>.<slot>"
    architecture.yaml      the network
    recipe.yaml            how it was trained, preprocessing included, for as many epochs as were planned
    checkpoint.json        what else resuming needs: see ``CheckpointManifest``
    native/                what the framework itself writes, for its own users; nothing here reads it

A checkpoint may come from a stranger: nothing in it is unpickled, its sizes are checked before memory is taken, and no
file of it is read from outside its folder.
"""

from harness.checkpoints.manifest import CheckpointManifest, Framing
from harness.checkpoints.reading import Checkpoint, read_checkpoint
from harness.checkpoints.tensors import check_arrays
from harness.checkpoints.writing import NATIVE, gathered, write_checkpoint

__all__ = [
    "NATIVE",
    "Checkpoint",
    "CheckpointManifest",
    "Framing",
    "check_arrays",
    "gathered",
    "read_checkpoint",
    "write_checkpoint",
]
