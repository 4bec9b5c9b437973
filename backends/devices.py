"""Devices by the contract's names, and the one check that a device is there."""

from __future__ import annotations

from collections.abc import Sequence

from specs.errors import RequestError


def device_names(gpus: int) -> tuple[str, ...]:
    """The contract's names of the CPU and of ``gpus`` GPUs: "cpu", "cuda:0", "cuda:1" and so on."""
    return ("cpu", *(f"cuda:{index}" for index in range(gpus)))


def checked_device(wanted: str, devices: Sequence[str], framework: str) -> str:
    """``wanted`` as one of ``devices``; "cuda" is the first GPU.

    ``framework`` names the framework in the error, with its version or build where that explains a missing GPU.
    Raises RequestError naming the devices that there are.
    """
    device = "cuda:0" if wanted == "cuda" else wanted
    if device not in devices:
        raise RequestError(f"device {wanted!r} is not there; {framework} has: {', '.join(devices)}")
    return device
