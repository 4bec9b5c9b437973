"""A recipe: how a network is trained, from pixels to target."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from specs.augmentation import Augmentation
from specs.codec import later
from specs.errors import FieldError, RequestError, unknown
from specs.initializers import Initializer
from specs.optimizers import Optimizer
from specs.schedule import Constant, Schedule

TARGETS = ("test_accuracy",)
MOST_EPOCHS = 10_000
MOST_SAMPLES_PER_BATCH = 10_000_000
_IMAGES_PER_CHUNK = 4096


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """x = (low + (high - low) * u / 255 - mean) / std for a pixel u in 0 to 255.

    ``scale`` is (low, high); ``mean`` and ``std`` hold one number per channel, in units of the scaled pixels.
    """

    scale: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("scale", "mean", "std"):
            values = getattr(self, name)
            if values is None:
                continue
            object.__setattr__(self, name, tuple(float(value) for value in values))
            if not all(math.isfinite(value) for value in values):
                raise FieldError(name, f"must be finite, got {list(values)}")
        if len(self.scale) != 2 or self.scale[0] >= self.scale[1]:
            raise FieldError("scale", f"must be [low, high] with low below high, got {list(self.scale)}")
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise FieldError("mean", "and std must be given together, with one number per channel each")
        if self.std is not None and (not self.std or min(self.std) <= 0):
            raise FieldError("std", f"must be positive, got {list(self.std)}")

    def apply(self, images: NDArray[np.uint8], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """float32[N, C, H, W] of uint8[N, C, H, W], written into ``out`` when given (a memory map, say).

        Each channel is one multiplication and one addition in float32. Needs no memory beyond the result: it goes in
        chunks of images. Raises RequestError when mean and std do not have as many channels as the images.
        """
        channels = images.shape[1]
        if self.mean is not None and len(self.mean) != channels:
            raise RequestError(
                f"preprocessing: mean and std have {len(self.mean)} channels, the images have {channels}"
            )
        low, high = self.scale
        mean = np.array(self.mean or [0.0] * channels).reshape(-1, 1, 1)
        std = np.array(self.std or [1.0] * channels).reshape(-1, 1, 1)
        factor = ((high - low) / 255.0 / std).astype(np.float32)
        offset = ((low - mean) / std).astype(np.float32)
        result = np.empty(images.shape, dtype=np.float32) if out is None else out
        for start in range(0, len(images), _IMAGES_PER_CHUNK):
            chunk = result[start : start + _IMAGES_PER_CHUNK]
            np.multiply(images[start : start + _IMAGES_PER_CHUNK], factor, out=chunk)
            if offset.any():
                chunk += offset
        return result


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a training but the network itself. ``architecture`` is None in a recipe that suits any network.

    The optimizer's ``learning_rate`` is the base rate of the schedule. ``label_smoothing`` e trains towards
    1 - e + e / K for the label and e / K for each other of K classes (Szegedy et al. 2016).

    ``validation`` is the share of the training samples that are kept from training, to evaluate on after every epoch;
    the test part is then used once, at the end. With ``patience`` the training ends when the validation loss has not
    fallen below its lowest for so many epochs.

    ``targets`` maps a figure in TARGETS to the value that the source reports. A wrong value raises RequestError, so
    ``dataclasses.replace`` may be given the user's own.
    """

    name: str
    epochs: int
    batch_size: int
    optimizer: Optimizer
    label_smoothing: float = later(0.0)
    architecture: str | None = None
    dataset: str = "mnist"
    learning_rate_schedule: Schedule = field(default_factory=Constant)
    initializer: Initializer = field(default_factory=Initializer)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    validation: float = later(0.0)
    patience: int | None = later(None)
    targets: dict[str, float] = field(default_factory=dict)
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for name, most in (("epochs", MOST_EPOCHS), ("batch_size", MOST_SAMPLES_PER_BATCH)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise FieldError(name, f"must be from 1 to {most}, got {value}")
        if not 0 <= self.label_smoothing < 1:
            raise FieldError("label_smoothing", f"must be in [0, 1), got {self.label_smoothing}")
        if not 0 <= self.validation < 1:
            raise FieldError("validation", f"must be a share of the training samples in [0, 1), got {self.validation}")
        if self.patience is not None and (self.patience < 1 or not self.validation):
            reason = f"must be at least 1, got {self.patience}" if self.validation else "needs a validation part"
            raise FieldError("patience", reason)
        if self.learning_rate_schedule.warmup_epochs > self.epochs:
            warmup = self.learning_rate_schedule.warmup_epochs
            raise FieldError(
                "learning_rate_schedule", f"warmup_epochs {warmup:g} exceeds epochs {self.epochs}", joint=": "
            )
        for name, value in self.targets.items():
            if name not in TARGETS:
                raise FieldError("targets", str(unknown("target", name, TARGETS)), joint=": ")
            if not 0 < value <= 1:
                raise FieldError("targets", f"{name} must be in (0, 1], got {value}", joint=": ")
