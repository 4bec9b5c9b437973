"""PaddlePaddle 3.3.1: oneDNN's max pooling in the older static graph mixes up two poolings with outputs of one shape.

Where the maxima were is kept in memory that is looked up by the shape of the output: the first pooling's gradient goes
to the places of the second. Report: none found. Remedy: use_onednn in backends/paddle/expert/passes.py.
"""

import os

os.environ["FLAGS_enable_pir_api"] = "0"  # noqa: SIM112
import numpy as np
import paddle

paddle.enable_static()
IMAGES = np.random.default_rng(0).random((1, 6, 6, 1)).astype(np.float32)
OTHERS = IMAGES[:, ::-1].copy()


def gradient(onednn: bool) -> np.ndarray:
    """Of the sum of all that both poolings give, with respect to the images."""
    program = paddle.static.Program()
    with paddle.static.program_guard(program, paddle.static.Program()), paddle.utils.unique_name.guard():
        inputs = [paddle.static.data(name, [1, 6, 6, 1]) for name in ("images", "others")]
        for one in inputs:
            one.stop_gradient = False
        pooled = [paddle.nn.functional.max_pool2d(one, 2, data_format="NHWC") for one in inputs]
        gradients = paddle.static.gradients(pooled, inputs)
        for operation in program.global_block().ops:
            if operation.type in ("pool2d", "pool2d_grad"):
                operation._set_attr("use_mkldnn", onednn)
        run = paddle.static.Executor(paddle.CPUPlace()).run
        return run(program, feed={"images": IMAGES, "others": OTHERS}, fetch_list=gradients)[0]


expected, actual = gradient(onednn=False), gradient(onednn=True)
print("expected:", expected[0, 0, :, 0])
print("actual:  ", actual[0, 0, :, 0])
print("gone" if np.array_equal(actual, expected) else "still there")
