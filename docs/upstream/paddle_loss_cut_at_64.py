"""PaddlePaddle 3.3.1: cross_entropy and log_softmax keep every log-probability above -64, on a CPU.

Report: none found. Remedy: backends/paddle/session.py takes the gradient of cross_entropy, the loss from the logits.
"""

import numpy as np
import paddle

logits, label = [0.0, 200.0, -50.0], 0
expected = np.logaddexp.reduce(np.float64(logits)) - logits[label]
actual = float(paddle.nn.functional.cross_entropy(paddle.to_tensor([logits]), paddle.to_tensor([label])))
print("expected:", expected)
print("actual:  ", actual)
print("gone" if abs(actual - expected) < 1e-3 else "still there")
