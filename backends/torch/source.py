"""PyTorch's own lines, for reproductions."""

from backends.source import FrameworkSource

SOURCE = FrameworkSource(
    title="PyTorch",
    imports=("import numpy as np", "import torch", "from torch.nn import functional as F"),
    tensor="torch.tensor({array}, requires_grad=True)",
    constant="torch.tensor({array})",
    no_bias="None",
    layers={
        "conv2d": "F.conv2d({x}, {weight}, {bias}, {stride}, {padding}, {dilation}, {groups})",
        "linear": "F.linear({x}, {weight}, {bias})",
        "max_pool2d": "F.max_pool2d({x}, {kernel_size}, {stride}, {padding}, 1, {ceil_mode})",
        "avg_pool2d": "F.avg_pool2d({x}, {kernel_size}, {stride}, {padding}, {ceil_mode}, {count_include_pad})",
        "global_avg_pool": "{x}.mean((2, 3))",
        "batch_norm2d": "F.batch_norm({x}, {running_mean}, {running_variance}, {gamma}, {beta}, {training}, "
        "{momentum}, {epsilon})",
        "dropout": "{x} * torch.as_tensor({mask}) / {keep}",
        "flatten": "{x}.flatten(1)",
        "relu": "F.relu({x})",
        "leaky_relu": "F.leaky_relu({x}, {negative_slope})",
        "tanh": "torch.tanh({x})",
        "sigmoid": "torch.sigmoid({x})",
        "gelu": "F.gelu({x})",
        "relu6": "F.relu6({x})",
        "silu": "F.silu({x})",
        "elu": "F.elu({x}, {alpha})",
        "hard_swish": "F.hardswish({x})",
        "softmax": "{x}.softmax({features})",
        "add": "{sum}",
        "batch_norm1d": "F.batch_norm({x}, {running_mean}, {running_variance}, {gamma}, {beta}, {training}, "
        "{momentum}, {epsilon})",
        "layer_norm": "F.layer_norm({x}, {gamma}.shape, {gamma}, {beta}, {epsilon})",
        "group_norm": "F.group_norm({x}, {groups}, {gamma}, {beta}, {epsilon})",
        "to_tokens": "{x}.flatten(2).transpose(1, 2)",
        "class_token": "torch.cat([{token}.expand(len({x}), 1, -1), {x}], 1)",
        "position_embedding": "{x} + {embedding}",
        "take_token": "{x}[:, {index}]",
        "mean_tokens": "{x}.mean(1)",
        "concat": "torch.cat([{all}], 1)",
    },
    logits=("result = network(*arrays).detach()",),
    gradients=(
        "loss = F.cross_entropy(network(*arrays), torch.tensor(labels))",
        "(result,) = torch.autograd.grad(loss, {where})",
    ),
)
