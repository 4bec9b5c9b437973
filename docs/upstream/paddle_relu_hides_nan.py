"""PaddlePaddle 3.3.1: relu of NaN is 0, and max pooling of a window with NaN is the largest of the others, on a CPU.

Report: PaddlePaddle/Paddle#79351 (relu). Remedy: none; the harness looks at parameters and logits too.
"""

import numpy as np
import paddle
from paddle.nn import functional

paddle.set_device("cpu")
relu = functional.relu(paddle.to_tensor([np.nan])).numpy()[0]
pooled = functional.max_pool2d(paddle.to_tensor([[[[1.0, np.nan], [0.0, 2.0]]]]), 2).numpy().item()
print("expected: nan nan")
print("actual:  ", relu, pooled)
print("gone" if np.isnan(relu) and np.isnan(pooled) else "still there")
