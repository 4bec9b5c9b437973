"""MindSpore 2.10.0: in graph mode the gradient of ops.pad is right in the first call and wrong in all later ones.

On a CPU; so is that of nn.ConstantPad2d, which calls it. No error, no warning; nn.Pad is right. Of an array of
128 x 256 x 7 x 7 the ninth call had not ended after a minute. Report: none found.
Remedy: backends/mindspore/network.py pads poolings by nn.Pad.
"""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

ms.set_context(mode=ms.GRAPH_MODE)


class Padded(nn.Cell):
    def construct(self, x, weights):
        return (ops.pad(x, (0, 1, 0, 1)) * weights).sum()


gradient = ms.grad(Padded())
x = ms.Tensor(np.zeros((1, 1, 2, 2), np.float32))
for first in (1, 11):
    weights = np.arange(first, first + 9, dtype=np.float32).reshape(1, 1, 3, 3)
    expected, actual = weights[..., :2, :2].ravel(), gradient(x, ms.Tensor(weights)).asnumpy().ravel()
print("expected:", expected, "in the second call")
print("actual:  ", actual)
print("gone" if np.array_equal(expected, actual) else "still there")
