"""Keras 3.15.1 on TensorFlow: Adam in float64 takes powers of its betas in float32, 1e-6 of the update.

Report: none found. Remedy: backends/keras/optimizers.py writes the rule as a Keras optimizer of its own.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import numpy as np

RATE, BETA1, BETA2, EPSILON = 0.1, 0.9, 0.999, 1e-3
keras.config.set_floatx("float64")
weight = keras.Variable([0.0], dtype="float64")
optimizer = keras.optimizers.Adam(RATE, BETA1, BETA2, EPSILON)
optimizer.build([weight])
optimizer.apply([keras.ops.convert_to_tensor([3.0], "float64")])

first, second = (1 - BETA1) * 3.0, (1 - BETA2) * 9.0  # Keras's rule: epsilon beside the uncorrected root
expected = -RATE * np.sqrt(1 - BETA2) / (1 - BETA1) * first / (np.sqrt(second) + EPSILON)
actual = float(np.asarray(weight)[0])
print("expected:", expected)
print("actual:  ", actual, f"({actual / expected - 1:.1e} of it)")
print("gone" if abs(actual / expected - 1) < 1e-12 else "still there")
