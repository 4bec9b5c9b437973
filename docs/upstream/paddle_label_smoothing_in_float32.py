"""PaddlePaddle 3.3.1: label smoothing of float64 logits takes its share in float32.

Report: none found. Remedy: PaddleSession._cross_entropy in backends/paddle/session.py, in float64 alone.
"""

import math

import paddle

SMOOTHING = 0.2
logits = paddle.to_tensor([[1.0, 0.0]], dtype="float64", stop_gradient=False)
paddle.nn.functional.cross_entropy(logits, paddle.to_tensor([0]), label_smoothing=SMOOTHING).backward()

expected = 1 / (1 + math.exp(-1)) - (1 - SMOOTHING + SMOOTHING / 2)
actual = float(logits.grad.numpy()[0, 0])
print("expected:", expected)
print("actual:  ", actual)
print("gone" if abs(actual - expected) < 1e-14 else "still there")
