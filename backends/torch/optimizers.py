"""The optimizers of the specs as ``torch.optim``, and their state in the canonical definition.

torch's rules are the canonical ones (docs/semantics.md), so every hyperparameter carries over as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adadelta import adadelta
from torch.optim.rmsprop import rmsprop

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


def torch_optimizer(
    spec: Optimizer, parameters: Iterable[torch.nn.Parameter], *, tuned: bool, rate: float | Tensor
) -> torch.optim.Optimizer:
    """The optimizer over ``parameters``, its state made and at zero.

    ``tuned`` takes torch's fused kernel where the rule has one, else on CUDA the multi-tensor one, able to be captured.
    ``rate`` is the initial learning rate: a tensor on the device for steps that will be captured, else a float.
    """
    parameters = list(parameters)
    optimizer = _create(spec, parameters, rate, _mode(spec, tuned=tuned, captured=isinstance(rate, Tensor)))
    # A step at rate 0 with zero gradients makes torch create the state, in its own form, and moves nothing.
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    set_rate(optimizer, 0.0)
    optimizer.step()
    optimizer.zero_grad()
    for state in optimizer.state.values():
        for value in state.values():
            if value is not None:
                value.zero_()
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the coming step."""
    (group,) = optimizer.param_groups
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def direct_update(spec: Optimizer, optimizer: torch.optim.Optimizer) -> Callable[[list[Tensor]], None]:
    """``optimizer.step`` as a function of the gradients: torch's kernel of the rule and nothing around it.

    In a small network what is around it costs several times the update. State and rate are the optimizer's own.
    """
    (group,) = optimizer.param_groups
    parameters = group["params"]
    decay = spec.weight_decay

    def slots(key: str) -> list[Tensor]:
        return [optimizer.state[parameter][key] for parameter in parameters]

    match spec:
        case SGD():
            momenta = slots("momentum_buffer") if spec.momentum else []
            fixed = {"weight_decay": decay, "momentum": spec.momentum, "dampening": 0.0, "nesterov": spec.nesterov}
            fixed |= {"maximize": False, "is_first_step": False}
            return lambda gradients: torch._fused_sgd_(parameters, gradients, momenta, lr=group["lr"], **fixed)
        case Adam():  # and AdamW
            moments, steps = (slots("exp_avg"), slots("exp_avg_sq")), slots("step")
            kernel = torch._fused_adamw_ if isinstance(spec, AdamW) else torch._fused_adam_
            fixed = {"weight_decay": decay, "beta1": spec.beta1, "beta2": spec.beta2, "eps": spec.epsilon}
            fixed |= {"maximize": False, "amsgrad": False}

            def adam(gradients: list[Tensor]) -> None:
                torch._foreach_add_(steps, 1)
                kernel(parameters, gradients, *moments, [], steps, lr=group["lr"], **fixed)

            return adam
        case Adagrad():
            sums, steps = slots("sum"), slots("step")
            fixed = {"weight_decay": decay, "lr_decay": 0.0, "eps": spec.epsilon, "maximize": False}

            def adagrad(gradients: list[Tensor]) -> None:
                torch._foreach_add_(steps, 1)
                torch._fused_adagrad_(parameters, gradients, sums, steps, lr=group["lr"], **fixed)

            return adagrad
        case Adadelta():
            averages, updates, steps = slots("square_avg"), slots("acc_delta"), slots("step")
            fixed = {"weight_decay": decay, "rho": spec.rho, "eps": spec.epsilon, "foreach": True, "maximize": False}
            return lambda gradients: adadelta(parameters, gradients, averages, updates, steps, lr=group["lr"], **fixed)
        case RMSprop():
            averages, steps = slots("square_avg"), slots("step")
            fixed = {"weight_decay": decay, "alpha": spec.rho, "eps": spec.epsilon, "foreach": True, "maximize": False}
            fixed |= {"momentum": 0.0, "centered": False}
            return lambda gradients: rmsprop(parameters, gradients, averages, [], [], steps, lr=group["lr"], **fixed)


def _mode(spec: Optimizer, *, tuned: bool, captured: bool) -> dict[str, bool]:
    if not tuned:
        return {}
    if isinstance(spec, Adadelta | RMSprop):
        return {"foreach": True, "capturable": True} if captured else {}
    return {"fused": True} | ({"capturable": True} if captured and isinstance(spec, Adam) else {})


def _create(spec: Optimizer, parameters: list[Any], rate: Any, mode: dict[str, bool]) -> torch.optim.Optimizer:
    common = {"lr": rate, "weight_decay": spec.weight_decay, **mode}
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
