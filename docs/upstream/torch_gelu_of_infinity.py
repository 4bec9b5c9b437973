"""PyTorch 2.13.0: GELU of infinity is NaN in float32 on a CPU, where several elements are computed at once.

Report: none found. Remedy: none; the harness looks at parameters and logits too.
"""

import torch
from torch.nn import functional

values = torch.full((16,), float("inf"))
several, alone = functional.gelu(values)[0].item(), functional.gelu(values[:1])[0].item()
print("expected: inf inf")
print("actual:  ", several, alone)
print("gone" if several == alone == float("inf") else "still there")
