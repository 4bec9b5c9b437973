"""TensorFlow 2.21.0: tf.nn.gelu in float64 takes the root of 2 in float32: 1e-8 off.

Report: none found. Remedy: backends/keras/layers writes x * (1 + erf(x / sqrt(2))) / 2 in the session's precision.
"""

import math

import numpy as np
import tensorflow as tf

x = np.linspace(-3, 3, 25)
expected = np.array([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in x])
actual = tf.nn.gelu(tf.constant(x, tf.float64), approximate=False).numpy()
worst = np.argmax(np.abs(actual - expected))
print("expected:", expected[worst])
print("actual:  ", actual[worst])
print("gone" if abs(actual[worst] - expected[worst]) < 1e-14 else "still there")
