"""TensorFlow 2.21.0: in a graph, relu and relu6 of NaN are 0 behind a convolution or product with bias.

Grappler makes one oneDNN operation of the three; eagerly NaN stays NaN.
Report: none found. Remedy: the harness looks at parameters and logits, not at the loss alone.
"""

import math

import tensorflow as tf

x = tf.fill((2, 8), float("nan"))
kernel, bias = tf.ones((8, 3)), tf.ones(3)


def layers(values):
    return tf.nn.relu(tf.nn.bias_add(tf.matmul(values, kernel), bias))


expected, actual = layers(x).numpy()[0, 0], tf.function(layers)(x).numpy()[0, 0]
print("expected:", expected)
print("actual:  ", actual, "in a graph")
print("gone" if math.isnan(actual) else "still there")
