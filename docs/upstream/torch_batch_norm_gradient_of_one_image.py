"""PyTorch 2.13.0: batch norm of a single image gets wrong gradients once its pixels have become a sequence.

For a batch of one, PyTorch takes the gradient, whose pixels lie behind one another, for one laid out as the image.
Report: none found. Remedy: BatchNorm2d in backends/torch/network.py, which makes both contiguous.
"""

import torch
from torch.nn import functional as F

torch.manual_seed(0)
images, weight = torch.randn(1, 8, 5, 5), torch.randn(8, 8)


def gradient(contiguous: bool) -> torch.Tensor:
    """Of the scale of batch norm, in front of a linear layer on tokens."""
    scale = torch.ones(8, requires_grad=True)
    normed = F.batch_norm(images, None, None, scale, None, True)
    if contiguous:
        normed.register_hook(torch.Tensor.contiguous)
    F.linear(normed.flatten(2).transpose(1, 2), weight).square().sum().backward()
    return scale.grad


expected, actual = gradient(contiguous=True), gradient(contiguous=False)
print("expected:", float(expected[0]))
print("actual:  ", float(actual[0]))
print("gone" if torch.allclose(actual, expected, rtol=1e-4) else "still there")
