"""PyTorch 2.13.0: group norm in channels_last loses the variance of values far from 0.

Report: none found. Remedy: GroupNorm in backends/torch/network.py, which takes its input out of channels_last.
"""

import torch

torch.manual_seed(0)
images = torch.randn(4, 6, 16, 16) + 100
exact = torch.nn.functional.group_norm(images.double(), 3)


def error(memory_format: torch.memory_format) -> float:
    """Relative, of float32."""
    normed = torch.nn.functional.group_norm(images.contiguous(memory_format=memory_format), 3)
    return float((normed - exact).norm() / exact.norm())


expected, actual = error(torch.contiguous_format), error(torch.channels_last)
print("expected: a relative error of", expected)
print("actual:  ", actual)
print("gone" if actual < 10 * expected else "still there")
