"""PyTorch 2.13.0: layer norm over one element gives its weight a gradient that should be 0.

Report: pytorch/pytorch#188375. Remedy: see layer norm in docs/semantics.md.
"""

import torch

x = torch.tensor([[1e4], [-3e4], [2.7e4]])
weight, bias = torch.ones(1, requires_grad=True), torch.zeros(1, requires_grad=True)
torch.nn.functional.layer_norm(x, (1,), weight, bias).sum().backward()
actual = float(weight.grad[0])
print("expected: 0.0, because x - mean(x) is 0")
print("actual:  ", actual)
print("gone" if actual == 0 else "still there")
