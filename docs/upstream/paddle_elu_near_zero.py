"""PaddlePaddle 3.3.1: ELU takes alpha in single precision, and loses an x near 0 in exp(x) - 1, on a CPU.

Report: none found. Remedy: a selection between x and alpha * expm1(x).
"""

import paddle
from paddle.nn import functional

paddle.set_device("cpu")
x = paddle.to_tensor([-1e-20, -50.0], "float64")
near, far = functional.elu(x, 0.7).numpy()
print("expected: -7e-21 -0.7")
print("actual:  ", near, far)
print("gone" if abs(near + 7e-21) < 1e-30 and abs(far + 0.7) < 1e-12 else "still there")
