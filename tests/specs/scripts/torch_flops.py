"""Run in torch's interpreter: what torch's own counter says of one training step of one sample.

In, on stdin: a JSON list of architectures as ``specs.codec.to_plain`` writes them. Out, on stdout: the JSON list of
{"forward": FLOPs, "train": FLOPs, "parameters": count}.
"""

import json
import math
import sys

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Swapped(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


class Attention(nn.Module):
    """In products that the counter sees one by one."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.maps, self.heads = nn.ModuleList(nn.Linear(features, features) for _ in range(4)), heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *parts, out = self.maps
        query, key, value = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return out(((query @ key.transpose(2, 3)).softmax(-1) @ value).transpose(1, 2).flatten(2))


def module(kind: str, o: dict, shape: torch.Size) -> nn.Module:
    match kind:
        case "conv2d":
            more = {"dilation": o.get("dilation", 1), "groups": o.get("groups", 1), "bias": o["bias"]}
            return nn.Conv2d(shape[1], o["out_channels"], o["kernel_size"], o["stride"], o["padding"], **more)
        case "linear":
            return nn.Linear(shape[-1], o["out_features"], bias=o["bias"])
        case "max_pool2d":
            return nn.MaxPool2d(o["kernel_size"], o["stride"], o["padding"])
        case "avg_pool2d":
            return nn.AvgPool2d(o["kernel_size"], o["stride"], o["padding"], count_include_pad=o["count_include_pad"])
        case "batch_norm2d":
            return nn.BatchNorm2d(shape[1])
        case "global_avg_pool":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "flatten":
            return nn.Flatten()
        case "relu":
            return nn.ReLU()
        case "dropout":
            return nn.Dropout(o["p"])
        case "to_tokens":
            return nn.Sequential(nn.Flatten(2), Swapped())
        case "multi_head_attention":
            return Attention(shape[-1], o["heads"])
        case "mean_tokens":
            return nn.Sequential(Swapped(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    raise ValueError(kind)


def count(architecture: dict) -> dict:
    x = torch.zeros(2, *architecture["input"])
    layers = []
    value = x
    for entry in architecture["layers"]:
        ((kind, options),) = entry.items()
        layers.append(module(kind, options, value.shape))
        value = layers[-1](value)
    network = nn.Sequential(*layers)
    with FlopCounterMode(display=False) as forward:
        network(x)
    with FlopCounterMode(display=False) as train:
        nn.functional.cross_entropy(network(x), torch.zeros(2, dtype=torch.int64)).backward()
    parameters = sum(math.prod(p.shape) for p in network.parameters())
    # Two samples, for batch norm needs them; every count is proportional to the batch.
    return {"forward": forward.get_total_flops() / 2, "train": train.get_total_flops() / 2, "parameters": parameters}


torch.set_num_threads(1)
print(json.dumps([count(architecture) for architecture in json.load(sys.stdin)]))
