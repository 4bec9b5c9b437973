"""MindSpore 2.10.0: expm1 loses an x near 0, which it is there for, on a CPU.

Report: none found. Remedy: tanh(x / 2) * (exp(x) + 1).
"""

import mindspore as ms
import numpy as np
from mindspore import ops

actual = ops.expm1(ms.Tensor(np.array([-1e-20]))).asnumpy().item()
print("expected: -1e-20")
print("actual:  ", actual)
print("gone" if actual else "still there")
