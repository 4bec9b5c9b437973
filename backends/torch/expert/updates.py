"""The update rules as torch's kernels, nothing around them: in a small network that costs several times the update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adadelta import adadelta
from torch.optim.rmsprop import rmsprop

from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

Update = Callable[[list[Tensor]], None]


def direct_update(spec: Optimizer, optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> Update:
    """``optimizer.step`` as a function of the gradients of ``parameters``; state and rate are the optimizer's own."""
    places = {parameter: place for place, parameter in enumerate(parameters)}
    updates = [
        ([places[parameter] for parameter in group["params"]], _update_of(spec, optimizer, group))
        for group in optimizer.param_groups
    ]
    if len(updates) == 1:
        return updates[0][1]

    def update(gradients: list[Tensor]) -> None:
        for members, one in updates:
            one([gradients[place] for place in members])

    return update


def _update_of(spec: Optimizer, optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> Update:
    parameters, decay = group["params"], group["weight_decay"]

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
