"""TensorFlow 2.21.0: erf of infinity is NaN in float64, on a CPU.

Report: none found. Remedy: none; the harness looks at parameters and logits too.
"""

import math

import tensorflow as tf

actual = tf.math.erf(tf.constant([math.inf], tf.float64)).numpy().item()
print("expected: 1.0")
print("actual:  ", actual)
print("gone" if actual == 1 else "still there")
