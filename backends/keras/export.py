"""A Keras model as a TensorFlow SavedModel run again. Imports TensorFlow: for ``keras_backend`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backends.contract import Predictor


class SavedModel(Predictor):
    """The endpoint ``serve`` of a SavedModel, which takes images [n, height, width, channels]."""

    def __init__(self, directory: Path) -> None:
        self._model = tf.saved_model.load(str(directory))

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float32[n, classes] of images float[n, C, H, W]."""
        logits: NDArray[Any] = self._model.serve(tf.constant(np.transpose(images, (0, 2, 3, 1)), tf.float32)).numpy()
        return logits
