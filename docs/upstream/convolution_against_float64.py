"""Which framework's float32 convolution is nearest to float64? Run it with each framework's Python and its name.

Four public reports accuse PyTorch's because three others agree: pytorch/pytorch#170016, mindspore#345,
tensorflow/tensorflow#105829, PaddlePaddle/Paddle#76819. Three that share a kernel share its rounding.
"""

import sys

import numpy as np

generator = np.random.default_rng(0)
x = generator.standard_normal((1, 384, 13, 13)).astype(np.float32)
w = generator.standard_normal((256, 384, 3, 3)).astype(np.float32)
padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
expected = np.einsum("nchwij,ocij->nohw", windows, w.astype(np.float64), optimize=True)

match sys.argv[1]:
    case "torch":
        import torch

        actual = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(w), padding=1).numpy()
    case "tensorflow":
        import tensorflow as tf

        y = tf.nn.conv2d(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), 1, "SAME")
        actual = y.numpy().transpose(0, 3, 1, 2)
    case "paddle":
        import paddle

        actual = paddle.nn.functional.conv2d(paddle.to_tensor(x), paddle.to_tensor(w), padding=1).numpy()
    case "mindspore":
        import mindspore as ms

        actual = ms.ops.conv2d(ms.Tensor(x), ms.Tensor(w), pad_mode="pad", padding=1).asnumpy()
    case "jax":
        from jax import lax

        actual = np.asarray(lax.conv(x, w, (1, 1), "SAME"))
    case other:
        raise SystemExit(f"torch, tensorflow, paddle, mindspore or jax, not {other}")
print(np.sqrt(np.mean((actual - expected) ** 2)))
