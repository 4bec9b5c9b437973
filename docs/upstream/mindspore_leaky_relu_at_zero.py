"""MindSpore 2.10.0: the gradient of nn.LeakyReLU at 0 is (1 + slope) / 2, which is no one-sided derivative.

Report: none found. Remedy: Leaky in backends/mindspore/network.py, a selection between x and slope * x.
"""

import mindspore as ms
from mindspore import nn

SLOPE = 0.1
leaky = nn.LeakyReLU(SLOPE)
(actual,) = ms.grad(leaky)(ms.Tensor([0.0], ms.float32)).asnumpy()
print("expected:", SLOPE, "or 1")
print("actual:  ", actual)
print("gone" if min(abs(actual - SLOPE), abs(actual - 1)) < 1e-6 else "still there")
