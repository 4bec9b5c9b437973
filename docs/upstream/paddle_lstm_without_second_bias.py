"""PaddlePaddle 3.3.1: an LSTM with the documented ``bias_hh_attr=False`` ends in a segmentation fault, on a CPU.

The list of weights for the kernel is filled from the parameters that the layer shows, of which one is missing.
Report: none found. Remedy: both biases, the gradient of the second set to 0.
"""

import subprocess
import sys

PROGRAM = "import paddle; paddle.nn.LSTM(2, 3, bias_hh_attr=False)(paddle.ones([1, 4, 2]))"
ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
print("expected: exit status 0")
print("actual:   exit status", ended.returncode)
print("still there" if ended.returncode else "gone")
