"""PyTorch 2.13.0: the backward pass of group norm ends the process for a channels_last input that needs no gradient.

Report: none found. Remedy: GroupNorm in backends/torch/network.py, which takes such an input out of channels_last.
"""

import signal
import subprocess
import sys

CODE = """
import torch
images = torch.randn(3, 2, 6, 6).contiguous(memory_format=torch.channels_last)
torch.nn.GroupNorm(1, 2)(images).sum().backward()
"""

code = subprocess.run([sys.executable, "-c", CODE], check=False, capture_output=True).returncode
print("expected: status 0")
print("actual:   status", code)
print("still there" if code == -signal.SIGSEGV else "gone" if code == 0 else f"not here: status {code}")
