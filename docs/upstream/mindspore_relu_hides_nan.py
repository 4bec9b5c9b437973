"""MindSpore 2.10.0: relu of NaN is 0, and max pooling of a window with NaN is the largest of the others, on a CPU.

Report: mindspore #380 and #381 (relu). Remedy: none; the harness looks at parameters and logits too.
"""

import mindspore as ms
import numpy as np
from mindspore import nn

relu = nn.ReLU()(ms.Tensor([np.nan], ms.float32)).asnumpy()[0]
window = ms.Tensor([[[[1.0, np.nan], [0.0, 2.0]]]], ms.float32)
pooled = nn.MaxPool2d(2, 2, pad_mode="valid")(window).asnumpy().item()
print("expected: nan nan")
print("actual:  ", relu, pooled)
print("gone" if np.isnan(relu) and np.isnan(pooled) else "still there")
