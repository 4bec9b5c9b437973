"""MindSpore 2.10.0: tanh in float32 is -1 or 1 from 5 on, and beyond: 9e-5 off, on a CPU.

Report: none found. Remedy: PreciseTanh in backends/mindspore/network.py computes it in float64.
"""

import mindspore as ms
import numpy as np
from mindspore import ops

x = np.linspace(-8, 8, 1601).astype(np.float32)
expected = np.tanh(x.astype(np.float64))
actual = ops.tanh(ms.Tensor(x)).asnumpy()
worst = np.argmax(np.abs(actual - expected))
print("expected:", expected[worst], "for tanh of", x[worst])
print("actual:  ", actual[worst])
print("gone" if abs(actual[worst] - expected[worst]) < 1e-6 else "still there")
