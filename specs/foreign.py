"""Names that the frameworks and their users have for what is called otherwise here."""

from __future__ import annotations

FOREIGN: dict[str, str] = {
    "dense": "linear",
    "fc": "linear",
    "fullyconnected": "linear",
    "innerproduct": "linear",
    "convolution": "conv2d",
    "convolution2d": "conv2d",
    "maxpooling": "max_pool2d",
    "maxpooling2d": "max_pool2d",
    "averagepool2d": "avg_pool2d",
    "averagepooling2d": "avg_pool2d",
    "meanpool2d": "avg_pool2d",
    "globalaveragepooling2d": "global_avg_pool",
    "globalaveragepool": "global_avg_pool",
    "adaptiveavgpool2d": "global_avg_pool",
    "batchnormalization": "batch_norm2d",
    "bn": "batch_norm2d",
    "swish": "silu",
    "hardsilu": "hard_swish",
    "depthwiseconv2d": "conv2d",
    "layernormalization": "layer_norm",
    "groupnormalization": "group_norm",
    # fields
    "filters": "out_channels",
    "units": "out_features",
    "poolsize": "kernel_size",
    "rate": "p",
    "lr": "learning_rate",
    "eps": "epsilon",
    "dilationrate": "dilation",
    "group": "groups",
    "batchsz": "batch_size",
    # optimizers and schedules
    "momentum": "sgd",
    "cosineannealing": "cosine",
    "cosineannealinglr": "cosine",
    "steplr": "step",
    # initializers
    "xavieruniform": "glorot_uniform",
    "xaviernormal": "glorot_normal",
    "kaiminguniform": "he_uniform",
    "kaimingnormal": "he_normal",
}
"""In small letters and digits; a hint is given only where what a name stands for is among the choices."""

EXPLAINED: dict[str, str] = {
    **dict.fromkeys(
        ("clip_norm", "gradient_clip", "gradient_clipping", "clip_grad_norm", "max_grad_norm"),
        "clip_norm of the optimizer does it, as in {sgd: {clip_norm: 1.0}}",
    ),
    "decay": "it is the optimizer's, as in {sgd: {weight_decay: 5.0e-4, decay: weights}}",
    "loss": "it is softmax cross-entropy; label_smoothing is a field of the recipe itself",
}
"""What to say of a layer or a field that is looked for and is not there, where a name alone would mislead."""

EXPECTED: dict[str, str] = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text (in quotes where it looks like something else)",
    "tuple_type": "a list",
    "dict_type": "a mapping of names and values",
}
"""Types as people call them, by pydantic's name of the mistake."""
