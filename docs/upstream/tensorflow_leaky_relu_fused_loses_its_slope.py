"""TensorFlow 2.21.0: in a graph, leaky_relu of a convolution with bias and a sum takes slope 0.2, whatever was given.

Grappler makes one oneDNN operation of the four and drops the slope; eagerly it is right.
Report: none found. Remedy: backends/keras/network.py writes a selection between x and slope * x.
"""

import numpy as np
import tensorflow as tf

SLOPE = 0.01
x = tf.constant(np.random.default_rng(0).standard_normal((1, 6, 6, 3)), tf.float32)
kernel = tf.constant(np.random.default_rng(1).standard_normal((3, 3, 3, 3)), tf.float32)
bias = tf.constant([0.1, -0.2, 0.3])


def layers(image):
    return tf.nn.leaky_relu(tf.nn.bias_add(tf.nn.conv2d(image, kernel, 1, "SAME"), bias) + image, SLOPE)


expected, actual = layers(x).numpy(), tf.function(layers)(x).numpy()
lowest = np.argmin(expected)
print("expected:", expected.flat[lowest])
print("actual:  ", actual.flat[lowest], "in a graph")
print("gone" if np.allclose(actual, expected, atol=1e-5) else "still there")
