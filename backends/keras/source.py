"""TensorFlow's own lines, for reproductions of what Keras computes on it."""

from backends.source import FrameworkSource

_LAST, _FIRST = "(0, 2, 3, 1)", "(0, 3, 1, 2)"
_SIDES = "[[0, 0], [{padding[0]}] * 2, [{padding[1]}] * 2, [0, 0]]"


def _channels_last(expression: str) -> str:
    """TensorFlow's kernels on a CPU want the channels last."""
    return f"tf.transpose({expression.replace('{x}', f'tf.transpose({{x}}, {_LAST})')}, {_FIRST})"


SOURCE = FrameworkSource(
    title="TensorFlow",
    imports=("import numpy as np", "import tensorflow as tf"),
    tensor="tf.Variable({array})",
    constant="tf.constant({array})",
    no_bias="np.zeros(1, dtype)",
    layers={
        "conv2d": _channels_last(
            "tf.nn.conv2d({x}, tf.transpose({weight}, (2, 3, 1, 0)), {stride}, "  # groups follow from the shapes
            + _SIDES
            + ", dilations={dilation}) + {bias}"
        ),
        "linear": "tf.matmul({x}, {weight}, transpose_b=True) + {bias}",
        "max_pool2d": _channels_last("tf.nn.max_pool2d({x}, {kernel_size}, {stride}, " + _SIDES + ")"),
        "global_avg_pool": "tf.reduce_mean({x}, (2, 3))",
        "dropout": "{x} * {mask} / {keep}",
        "flatten": "tf.reshape({x}, (len(labels), -1))",
        "relu": "tf.nn.relu({x})",
        "leaky_relu": "tf.nn.leaky_relu({x}, {negative_slope})",
        "tanh": "tf.tanh({x})",
        "sigmoid": "tf.sigmoid({x})",
        "gelu": "tf.nn.gelu({x}, approximate=False)",
        "relu6": "tf.nn.relu6({x})",
        "silu": "tf.nn.silu({x})",
        "hard_swish": "{x} * tf.nn.relu6({x} + 3) / 6",
        "softmax": "tf.nn.softmax({x}, {features})",
        "add": "{sum}",
        "to_tokens": "tf.transpose(tf.reshape({x}, (*{x}.shape[:2], -1)), (0, 2, 1))",
        "class_token": "tf.concat([tf.broadcast_to({token}, (len({x}), 1, len({token}))), {x}], 1)",
        "position_embedding": "{x} + {embedding}",
        "take_token": "{x}[:, {index}]",
        "mean_tokens": "tf.reduce_mean({x}, 1)",
        "concat": "tf.concat([{all}], 1)",
    },
    logits=("result = tf.function(network)(*arrays)",),
    gradients=(
        "with tf.GradientTape() as tape:",
        "    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.function(network)(*arrays))",
        "    loss = tf.reduce_mean(losses)",
        "result = tape.gradient(loss, {where})",
    ),
)
