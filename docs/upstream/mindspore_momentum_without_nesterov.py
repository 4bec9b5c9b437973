"""MindSpore 2.10.0: nn.Momentum(use_nesterov=True) steps as if it were false, on a CPU.

Report: none found. Remedy: backends/mindspore/optimizers.py writes the rule in MindSpore's operations.
"""

import mindspore as ms
import numpy as np
from mindspore import nn

RATE, MOMENTUM, GRADIENT = 0.1, 0.9, 1.0
weight = ms.Parameter(ms.Tensor([0.0], ms.float32), name="weight")
optimizer = nn.Momentum([weight], learning_rate=RATE, momentum=MOMENTUM, use_nesterov=True)
optimizer((ms.Tensor([GRADIENT], ms.float32),))

expected = np.float64(-RATE * (GRADIENT + MOMENTUM * GRADIENT))
actual = float(weight.asnumpy()[0])
print("expected:", expected)
print("actual:  ", actual)
print("gone" if abs(actual - expected) < 1e-6 else "still there")
