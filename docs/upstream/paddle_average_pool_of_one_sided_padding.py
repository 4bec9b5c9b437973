"""PaddlePaddle 3.3.1: average pooling with exclusive=False leaves out padding that is on the right or below alone.

Report: none found. Remedy: _average_pool in backends/paddle/layers.py sums windows where padding has two sizes.
"""

import paddle

image = paddle.ones([1, 1, 1, 1])
left, right = (
    paddle.nn.functional.avg_pool2d(image, (1, 2), 1, [0, 0, *sides], exclusive=False).item()
    for sides in ((1, 0), (0, 1))
)
print("expected: 0.5 and 0.5, padding on the left and on the right")
print("actual:  ", left, "and", right)
print("gone" if left == right == 0.5 else "still there")
