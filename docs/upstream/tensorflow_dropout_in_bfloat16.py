"""TensorFlow 2.21.0: dropout of bfloat16 values is decided by seven random bits.

Report: none found. Remedy: in backends/keras/layers.py dropout is a layer in float32.
"""

import tensorflow as tf

SHARE_KEPT = 0.001
kept = tf.nn.dropout(tf.ones([1_000_000], tf.bfloat16), rate=1 - SHARE_KEPT, seed=1) != 0

expected = SHARE_KEPT
actual = float(tf.reduce_mean(tf.cast(kept, tf.float32)))
print("expected:", expected)
print("actual:  ", actual)
print("gone" if abs(actual - expected) < 2e-4 else "still there")
