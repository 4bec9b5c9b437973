"""PyTorch 2.13.0: batch norm in channels_last adds in float32, one value after another, and loses digits.

Contiguous memory has its sums in float64. Report: none found. Remedy: none; a known difference of hunts.
"""

import torch

torch.manual_seed(0)
images = torch.randn(256, 16, 32, 32)
exact = torch.nn.functional.batch_norm(images.double(), None, None, training=True)


def error(memory_format: torch.memory_format) -> float:
    """Relative, of float32."""
    normed = torch.nn.functional.batch_norm(images.contiguous(memory_format=memory_format), None, None, training=True)
    return float((normed - exact).norm() / exact.norm())


expected, actual = error(torch.contiguous_format), error(torch.channels_last)
print("expected: a relative error of", expected)
print("actual:  ", actual)
print("gone" if actual < 10 * expected else "still there")
