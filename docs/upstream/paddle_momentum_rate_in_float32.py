"""PaddlePaddle 3.3.1: Momentum in float64 takes its momentum in float32 (Adadelta, Adagrad and AdamW theirs alike).

Report: none found. Remedy: PlainRule in backends/paddle/optimizers.py, in float64 alone.
"""

import paddle

RATE, MOMENTUM = 0.1, 0.9
weight = paddle.create_parameter([1], "float64", default_initializer=paddle.nn.initializer.Constant(0.0))
optimizer = paddle.optimizer.Momentum(learning_rate=RATE, momentum=MOMENTUM, parameters=[weight])
for _ in range(2):
    optimizer.clear_grad()
    weight.sum().backward()
    optimizer.step()

expected = -RATE * (1 + (1 + MOMENTUM))
actual = float(weight.numpy()[0])
print("expected:", expected)
print("actual:  ", actual)
print("gone" if abs(actual - expected) < 1e-14 else "still there")
