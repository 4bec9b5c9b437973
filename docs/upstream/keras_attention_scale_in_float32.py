"""Keras 3.15.1: attention in float64 divides by a square root that was rounded to float32.

Report: none found. Remedy: DoubleAttention in backends/keras/tokens.py.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

x = np.random.default_rng(0).standard_normal((1, 4, 3))
layer = keras.layers.MultiHeadAttention(1, 3, use_bias=False, dtype="float64")
actual = np.asarray(layer(x, x))
query, key, value, out = (np.asarray(weight).reshape(3, 3) for weight in layer.weights)
scores = np.exp((x @ query) @ (x @ key).swapaxes(1, 2) / np.sqrt(3))
expected = scores / scores.sum(-1, keepdims=True) @ (x @ value) @ out
error = np.abs(actual - expected).max()
print("expected: within 1e-14")
print(f"actual:   {error:.0e} off")
print("still there" if error > 1e-12 else "gone")
