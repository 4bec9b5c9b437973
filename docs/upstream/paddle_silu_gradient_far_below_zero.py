"""PaddlePaddle 3.3.1: the gradient of SiLU is NaN far below 0, where it is 0, on a CPU.

Report: none found. Remedy: x times its sigmoid.
"""

import paddle
from paddle.nn import functional

paddle.set_device("cpu")
x = paddle.to_tensor([-100.0], stop_gradient=False)
(gradient,) = paddle.grad(functional.silu(x).sum(), x)
print("expected: 0.0")
print("actual:  ", gradient.item())
print("gone" if abs(gradient.item()) < 1e-30 else "still there")
