"""MindSpore 2.9.0 and 2.10.0: on a CPU with AVX-512 a convolution takes many times as long as with AVX2 alone.

Its oneDNN 3.10 falls back to a reference kernel there (ONEDNN_VERBOSE=1 shows jit_uni_ncsp:conv+ref:any); 2.8.0 does
not. Report: none found.
Remedy: ONEDNN_MAX_CPU_ISA=AVX2 in backends/mindspore/adapter.py, for networks with convolutions.
"""

import os
import subprocess
import sys
from pathlib import Path

TIMED = """
import time, numpy as np, mindspore as ms
from mindspore import nn
ms.set_context(mode=ms.GRAPH_MODE)
layer = nn.Conv2d(32, 64, 3, pad_mode="valid", has_bias=True)
x = ms.Tensor(np.ones((64, 32, 26, 26), np.float32))
times = []
for _ in range(4):
    start = time.perf_counter(); layer(x).asnumpy(); times.append(time.perf_counter() - start)
print(min(times[1:]))
"""


def seconds(**settings: str) -> float:
    done = subprocess.check_output([sys.executable, "-c", TIMED], env=os.environ | settings, text=True)
    return float(done.splitlines()[-1])


if "avx512f" not in Path("/proc/cpuinfo").read_text():
    print("not here: this CPU has no AVX-512")
else:
    actual, expected = seconds(), seconds(ONEDNN_MAX_CPU_ISA="AVX2")
    print(f"expected: {1e3 * expected:.0f} ms, as with ONEDNN_MAX_CPU_ISA=AVX2")
    print(f"actual:   {1e3 * actual:.0f} ms, {actual / expected:.0f} times as long")
    print("still there" if actual > 5 * expected else "gone")
