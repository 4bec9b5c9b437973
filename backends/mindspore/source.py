"""MindSpore's own lines, for reproductions."""

from backends.source import FrameworkSource

SOURCE = FrameworkSource(
    title="MindSpore",
    imports=("import mindspore as ms", "import numpy as np", "from mindspore import ops"),
    tensor="ms.Tensor({array})",
    constant="ms.Tensor({array})",
    no_bias="ms.Tensor(np.zeros(1, dtype))",
    layers={
        "conv2d": "ops.conv2d({x}, {weight}, None, {stride}, 'pad', {padding}, {dilation}, {groups})"
        " + {bias}.reshape((1, -1, 1, 1))",
        "linear": "ops.matmul({x}, {weight}.T) + {bias}",
        "max_pool2d": "ops.max_pool2d({x}, {kernel_size}, {stride}, {padding})",
        "global_avg_pool": "{x}.mean((2, 3))",
        "dropout": "{x} * ms.Tensor({mask}) / {keep}",
        "flatten": "ops.flatten({x})",
        "relu": "ops.relu({x})",
        "leaky_relu": "ops.leaky_relu({x}, {negative_slope})",
        "tanh": "ops.tanh({x})",
        "sigmoid": "ops.sigmoid({x})",
        "gelu": "ops.gelu({x}, 'none')",
        "relu6": "ops.relu6({x})",
        "silu": "ops.silu({x})",
        "hard_swish": "ops.hardswish({x})",
        "softmax": "ops.softmax({x}, {features})",
        "add": "{sum}",
        "layer_norm": "ops.layer_norm({x}, {gamma}.shape, {gamma}, {beta}, {epsilon})",
        "to_tokens": "ops.flatten({x}, start_dim=2).swapaxes(1, 2)",
        "position_embedding": "{x} + {embedding}",
        "take_token": "{x}[:, {index}]",
        "mean_tokens": "{x}.mean(1)",
        "concat": "ops.cat(({all},), 1)",
    },
    logits=("result = network(*arrays)",),
    gradients=(
        "labels = ms.Tensor(labels, ms.int32)",
        "result = ms.grad(lambda *given: ops.cross_entropy(network(*given), labels), {position})(*arrays)",
    ),
)
