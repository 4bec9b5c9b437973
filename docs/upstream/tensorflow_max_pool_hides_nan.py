"""TensorFlow 2.21.0: max pooling of a window with NaN is the largest of the others, on a CPU; relu passes NaN on.

Report: none found. Remedy: none; the harness looks at parameters and logits too.
"""

import numpy as np
import tensorflow as tf

window = tf.constant([1.0, np.nan, 0.0, 2.0], shape=(1, 2, 2, 1))
actual = tf.nn.max_pool2d(window, 2, 2, "VALID").numpy().item()
print("expected: nan")
print("actual:  ", actual)
print("gone" if np.isnan(actual) else "still there")
