"""TensorFlow 2.21.0: ELU loses an x near 0 in exp(x) - 1, on a CPU.

Report: none found. Remedy: a selection between x and alpha * expm1(x).
"""

import tensorflow as tf

actual = tf.nn.elu(tf.constant([-1e-20], tf.float64)).numpy().item()
print("expected: -1e-20")
print("actual:  ", actual)
print("gone" if actual else "still there")
