"""The optimizers of the specs as ``torch.optim``, and their state in the canonical definition.

torch's rules are the canonical ones (docs/semantics.md), so every hyperparameter carries over as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

# Canonical slot to torch's state key.
SLOTS = {
    "velocity": "momentum_buffer",
    "first_moment": "exp_avg",
    "second_moment": "exp_avg_sq",
    "square_average": "square_avg",
    "accumulated_update": "acc_delta",
    "square_sum": "sum",
}


def torch_optimizer(spec: Optimizer, parameters: Mapping[str, Tensor], **options: Any) -> torch.optim.Optimizer:
    """The optimizer over ``parameters`` by canonical name, its state made and at zero.

    Parameters that decay alike are a group of torch's.

    ``options`` are torch's own: ``fused`` and the like, and ``lr`` where the rate is to be a tensor on the device.
    """
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in parameters.items():
        groups.setdefault(spec.weight_decay_of(name), []).append(parameter)
    grouped = [{"params": members, "weight_decay": decay} for decay, members in groups.items()]
    optimizer = _create(spec, grouped, {"lr": 0.0, **options})
    # A step at rate 0 with zero gradients makes torch create the state, in its own form, and moves nothing.
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for state in optimizer.state.values():
        for value in state.values():
            if value is not None:
                value.zero_()
    return optimizer


def fast_kernel(spec: Optimizer) -> dict[str, bool]:
    """torch's option for one kernel that updates all parameters at once, or where the rule has none, a few for all."""
    return {"foreach": True} if isinstance(spec, Adadelta | RMSprop) else {"fused": True}


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the coming step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def clip(gradients: Iterable[Tensor], most: float) -> None:
    """Multiply the gradients in place so that their global L2 norm is ``most`` where it was above.

    ``torch.nn.utils.clip_grad_norm_`` would add 1e-6 to the norm.
    """
    gradients = list(gradients)
    factor = (most / torch.nn.utils.get_total_norm(gradients)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)


def _create(spec: Optimizer, parameters: list[dict[str, Any]], common: dict[str, Any]) -> torch.optim.Optimizer:
    match spec:
        case SGD():
            return torch.optim.SGD(parameters, momentum=spec.momentum, nesterov=spec.nesterov, **common)
        case AdamW():
            return torch.optim.AdamW(parameters, betas=(spec.beta1, spec.beta2), eps=spec.epsilon, **common)
        case Adam():
            return torch.optim.Adam(parameters, betas=(spec.beta1, spec.beta2), eps=spec.epsilon, **common)
        case Adadelta():
            return torch.optim.Adadelta(parameters, rho=spec.rho, eps=spec.epsilon, **common)
        case RMSprop():
            return torch.optim.RMSprop(parameters, alpha=spec.rho, eps=spec.epsilon, **common)
        case Adagrad():
            return torch.optim.Adagrad(parameters, eps=spec.epsilon, **common)
