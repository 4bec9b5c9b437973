"""Mistakes in what a session remembers from one call to the next: no single call is wrong in a fresh session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays
from backends.numpy.session import NumpySession

Array = NDArray[Any]


class Views(NumpySession):
    """Gives its own arrays away: what a caller keeps moves with every step."""

    def parameters(self) -> Arrays:
        return dict(self._values)


class FirstEvaluation(NumpySession):
    """Predicts by the weights that it predicted by first."""

    first: Mapping[str, Array] | None = None

    def predict(self, images: Array) -> Array:
        now = self.parameters()
        self.first = self.first or now
        self.load_parameters(self.first)
        logits = super().predict(images)
        self.load_parameters(now)
        return logits


class OneArrayForLogits(NumpySession):
    """Writes the logits of equally many images into one array."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._logits: dict[int, Array] = {}

    def predict(self, images: Array) -> Array:
        logits = self._logits.setdefault(len(images), np.empty(0))
        new = super().predict(images)
        if logits.shape != new.shape:
            logits = self._logits[len(images)] = new
        logits[...] = new
        return logits


class StaysInEvaluation(NumpySession):
    """Once it has predicted, training moves no running statistics any more."""

    predicted = False

    def predict(self, images: Array) -> Array:
        self.predicted = True
        return super().predict(images)

    def train_steps(self, *arguments: Any, **keywords: Any) -> NDArray[np.float64]:
        before = self.parameters()
        losses = super().train_steps(*arguments, **keywords)
        if self.predicted:
            self._values |= {name: before[name] for name in before if ".running_" in name}
        return losses


class FirstImages(NumpySession):
    """Keeps the first images that it was given."""

    def set_training_data(self, images: Array, labels: NDArray[np.int64]) -> None:
        if self._images is None:
            super().set_training_data(images, labels)


class FirstBatchSize(NumpySession):
    """Divides every batch's gradient by the size of the first one."""

    size: int | None = None

    def train_steps(
        self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64], **keywords: Any
    ) -> NDArray[np.float64]:
        self.size = self.size or batch_indices.shape[1]
        rates = learning_rates * (batch_indices.shape[1] / self.size)
        return super().train_steps(batch_indices, rates, **keywords)


class CallersParameters(NumpySession):
    """Keeps the arrays that parameters are loaded from."""

    def load_parameters(self, parameters: Mapping[str, Array]) -> None:
        self._values = dict(parameters)


class ImagesScaledInPlace(NumpySession):
    """Computes on the images of its caller."""

    def predict(self, images: Array) -> Array:
        images *= 2
        images /= 2
        images += np.spacing(images)
        return super().predict(images)


class SixteenBits(NumpySession):
    """Numbers training samples by too few bits."""

    def train_steps(
        self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64], **keywords: Any
    ) -> NDArray[np.float64]:
        return super().train_steps(batch_indices.astype(np.uint16).astype(np.int64), learning_rates, **keywords)


class SharedSlots(NumpySession):
    """Has the optimizer's state in common with every session of the same network and rule."""

    common: ClassVar[dict[Any, Any]] = {}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        key = self._spec.architecture.name, self._spec.optimizer, self._spec.precision
        self._slots = self.common.setdefault(key, self._slots)
