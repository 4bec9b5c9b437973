"""What one layer gives and owns, by the shape that it is given. Shapes leave the batch axis out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from specs import layers as L
from specs.layers import Pair
from specs.nodes import Shape
from specs.windows import Windowed, counts, extent


def output_shape(layer: L.Layer, shape: Shape) -> Shape:
    """Shape after ``layer``. Raises ValueError when ``shape`` does not suit it."""
    if isinstance(layer, L.Activation):
        return shape
    match layer:
        case L.Conv2d():
            if _image(shape)[0] % layer.groups:
                raise ValueError(f"groups {layer.groups} must divide the {shape[0]} input channels")
            return (layer.out_channels, *_windows(layer, shape))
        case L.MaxPool2d() | L.AvgPool2d():
            return (shape[0], *_windows(layer, _image(shape)))
        case L.GlobalAvgPool():
            return _image(shape)[:1]
        case L.BatchNorm2d():
            return _image(shape)
        case L.Flatten():
            return (math.prod(shape),)
        case L.Linear():
            if len(shape) == 3:
                raise ValueError(f"needs features, got shape {list(shape)}; put a flatten before it")
            return (*shape[:-1], layer.out_features)
        case L.Softmax() | L.Dropout():
            return shape
        case L.Rows():
            channels, height, width = _image(shape)
            return (height, channels * width)
        case L.LSTM() | L.GRU():
            if len(shape) != 2:
                raise ValueError(f"needs tokens [tokens, features], got shape {list(shape)}; put rows before it")
            return (shape[0], layer.hidden) if layer.return_sequences else (layer.hidden,)
        case L.BatchNorm1d():
            if len(shape) != 1:
                raise ValueError(f"needs features, got shape {list(shape)}; of images it is batch_norm2d")
            return shape
        case L.LayerNorm():
            if len(shape) == 3:
                raise ValueError(f"needs features or tokens, got the image {list(shape)}; group_norm is for images")
            return shape
        case L.GroupNorm():
            if _image(shape)[0] % layer.groups:
                raise ValueError(f"{shape[0]} channels do not make {layer.groups} groups of one size")
            return shape
        case L.ToTokens():
            channels, height, width = _image(shape)
            return (height * width, channels)
        case L.ClassToken():
            tokens, features = _tokens(shape)
            return (tokens + 1, features)
        case L.PositionEmbedding():
            return _tokens(shape)
        case L.MultiHeadAttention():
            if _tokens(shape)[1] % layer.heads:
                raise ValueError(f"{shape[1]} features do not divide among {layer.heads} heads")
            return shape
        case L.TakeToken():
            tokens, features = _tokens(shape)
            if not -tokens <= layer.index < tokens:
                raise ValueError(
                    f"there is no token {layer.index} among {tokens}: 0 to {tokens - 1}, or -1 for the last"
                )
            return (features,)
        case L.MeanTokens():
            return _tokens(shape)[1:]


def joined_shape(join: L.Join, shapes: Mapping[str, Shape]) -> Shape:
    """Shape of several values joined. ``shapes`` has them under what errors call them; ValueError if they differ."""
    first, *others = shapes.values()
    given = ", ".join(f"{label} gives {list(shape)}" for label, shape in shapes.items())
    match join:
        case L.Add():
            if any(other != first for other in others):
                raise ValueError(f"what is added must have one shape, but {given}")
            return first
        case L.Concat():
            axis = join.axis - 1  # shapes leave the batch out
            if any(other[:axis] + other[axis + 1 :] != first[:axis] + first[axis + 1 :] for other in others):
                raise ValueError(f"what is concatenated may differ in {_AXES[len(first)]} alone, but {given}")
            return (*first[:axis], sum(shape[axis] for shape in shapes.values()), *first[axis + 1 :])


_AXES = {1: "features", 2: "the number of tokens", 3: "channels"}


def _image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ValueError(f"needs an image [channels, height, width], got shape {list(shape)}")
    return shape


def _tokens(shape: Shape) -> Shape:
    if len(shape) != 2:
        raise ValueError(f"needs tokens [tokens, features], got shape {list(shape)}; put a to_tokens before it")
    return shape


def feature_axis(shape: Shape) -> int:
    """Where features are in a batch [n, ...] of values of ``shape``: channels of images, last of vectors and tokens."""
    return 2 if len(shape) == 2 else 1


def _windows(layer: Windowed, shape: Shape) -> Pair:
    """How many windows a layer has on an image."""
    for axis, size, reach, padding in zip(
        ("height", "width"), shape[1:], extent(layer), L.both_sides(layer.padding), strict=True
    ):
        if size + sum(padding) < reach:
            dilated = (
                f", dilation {list(layer.dilation)}" if isinstance(layer, L.Conv2d) and layer.dilation != (1, 1) else ""
            )
            raise ValueError(
                f"kernel {list(layer.kernel_size)}{dilated} with padding {list(layer.padding)} does not fit "
                f"input {list(shape)} ({axis} {size})"
            )
    return counts(layer, shape)


def parameters(layer: L.Operation, shape: Shape) -> dict[str, Shape]:
    """The trained parameters of ``layer`` on ``shape``: part ("weight", "gamma", ...) to shape."""
    match layer:
        case L.Conv2d():
            weight: Shape = (layer.out_channels, shape[0] // layer.groups, *layer.kernel_size)
            return {"weight": weight} | ({"bias": (layer.out_channels,)} if layer.bias else {})
        case L.Linear():
            weight = (layer.out_features, shape[-1])
            return {"weight": weight} | ({"bias": (layer.out_features,)} if layer.bias else {})
        case L.BatchNorm2d() | L.BatchNorm1d() | L.GroupNorm():
            return {"gamma": (shape[0],), "beta": (shape[0],)}
        case L.LSTM() | L.GRU():
            rows, hidden = layer.gates * layer.hidden, (layer.hidden,)
            own = {"weight": (rows, shape[1]), "recurrent_weight": (rows, layer.hidden), "bias": (rows,)}
            return own | ({"recurrent_bias": hidden} if isinstance(layer, L.GRU) else {})
        case L.LayerNorm():
            return {"gamma": shape[-1:], "beta": shape[-1:]}
        case L.ClassToken():
            return {"token": shape[1:]}
        case L.PositionEmbedding():
            return {"embedding": shape}
        case L.MultiHeadAttention():
            features = shape[1]
            own = {"weight": (features, features)} | ({"bias": (features,)} if layer.bias else {})
            return {f"{part}_{kind}": size for part in L.ATTENTION_MAPS for kind, size in own.items()}
        case _:
            return {}


def buffers(layer: L.Operation, shape: Shape) -> dict[str, Shape]:
    """What ``layer`` keeps beside its parameters, batch norm's running statistics: part to shape."""
    if isinstance(layer, L.BatchNorm):
        return {"running_mean": (shape[0],), "running_variance": (shape[0],)}
    return {}
