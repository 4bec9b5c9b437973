"""PaddlePaddle's own lines, for reproductions."""

from backends.source import FrameworkSource

SOURCE = FrameworkSource(
    title="PaddlePaddle",
    imports=("import numpy as np", "import paddle", "from paddle.nn import functional as F"),
    tensor="paddle.to_tensor({array}, stop_gradient=False)",
    constant="paddle.to_tensor({array})",
    no_bias="None",
    layers={
        "conv2d": "F.conv2d({x}, {weight}, {bias}, {stride}, {padding}, {dilation}, {groups})",
        "linear": "F.linear({x}, {weight}.T, {bias})",
        "max_pool2d": "F.max_pool2d({x}, {kernel_size}, {stride}, {padding})",
        "avg_pool2d": "F.avg_pool2d({x}, {kernel_size}, {stride}, {padding}, exclusive=not {count_include_pad})",
        "global_avg_pool": "{x}.mean((2, 3))",
        "batch_norm2d": "F.batch_norm({x}, {running_mean}, {running_variance}, {gamma}, {beta}, {training}, "
        "1 - {momentum}, {epsilon})",
        "dropout": "{x} * paddle.to_tensor({mask}) / {keep}",
        "flatten": "{x}.flatten(1)",
        "relu": "F.relu({x})",
        "leaky_relu": "F.leaky_relu({x}, {negative_slope})",
        "tanh": "F.tanh({x})",
        "sigmoid": "F.sigmoid({x})",
        "gelu": "F.gelu({x})",
        "relu6": "F.relu6({x})",
        "silu": "F.silu({x})",
        "elu": "F.elu({x}, {alpha})",
        "hard_swish": "F.hardswish({x})",
        "softmax": "F.softmax({x}, {features})",
        "add": "{sum}",
        "batch_norm1d": "F.batch_norm({x}, {running_mean}, {running_variance}, {gamma}, {beta}, {training}, "
        "1 - {momentum}, {epsilon})",
        "layer_norm": "F.layer_norm({x}, {gamma}.shape, {gamma}, {beta}, {epsilon})",
        "group_norm": "F.group_norm({x}, {groups}, {epsilon}, {gamma}, {beta})",
        "to_tokens": "{x}.flatten(2).transpose([0, 2, 1])",
        "class_token": "paddle.concat([paddle.expand({token}, [len({x}), 1, len({token})]), {x}], 1)",
        "position_embedding": "{x} + {embedding}",
        "take_token": "{x}[:, {index}]",
        "mean_tokens": "{x}.mean(1)",
        "concat": "paddle.concat([{all}], 1)",
    },
    logits=("result = network(*arrays)",),
    gradients=(
        "loss = F.cross_entropy(network(*arrays), paddle.to_tensor(labels))",
        "(result,) = paddle.grad(loss, {where})",
    ),
)
