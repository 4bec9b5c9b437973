"""The optimizers of the specs as ``torch.optim``, and their state in the canonical definition.

torch's rules are the canonical ones (docs/semantics.md), so every hyperparameter carries over as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim.adadelta import adadelta
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

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
    spec: Optimizer, parameters: Iterable[torch.nn.Parameter], *, tuned: bool, rate: float | torch.Tensor
) -> torch.optim.Optimizer:
    """The optimizer over ``parameters``, its state made and at zero.

    ``tuned`` takes torch's fused kernel where the rule has one, else on CUDA the multi-tensor one, able to be captured.
    ``rate`` is the initial learning rate: a tensor on the device for steps that will be captured, else a float.
    """
    parameters = list(parameters)
    optimizer = _create(spec, parameters, rate, _mode(spec, tuned=tuned, captured=isinstance(rate, torch.Tensor)))
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
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def direct_update(spec: Optimizer, optimizer: torch.optim.Optimizer) -> Callable[[list[torch.Tensor]], None]:
    """``optimizer.step`` as a function of the gradients, without the wrapper around torch's update rules.

    The wrapper costs more than the update itself in a small network. State and learning rate are the optimizer's own.
    """
    (group,) = optimizer.param_groups
    parameters = group["params"]

    def slots(key: str) -> list[torch.Tensor]:
        return [optimizer.state[parameter][key] for parameter in parameters]

    def rule(
        function: Callable[..., None], *state: list[torch.Tensor], **fixed: Any
    ) -> Callable[[list[torch.Tensor]], None]:
        fixed |= {"weight_decay": spec.weight_decay, "maximize": False}
        return lambda gradients: function(parameters, gradients, *state, lr=group["lr"], **fixed)

    match spec:
        case SGD():
            momenta = slots("momentum_buffer") if spec.momentum else [None] * len(parameters)
            options = {"momentum": spec.momentum, "dampening": 0.0, "nesterov": spec.nesterov, "fused": True}
            return rule(sgd, momenta, **options)
        case Adam():  # and AdamW
            options = {"beta1": spec.beta1, "beta2": spec.beta2, "eps": spec.epsilon, "amsgrad": False, "fused": True}
            function = adamw if isinstance(spec, AdamW) else adam
            return rule(function, slots("exp_avg"), slots("exp_avg_sq"), [], slots("step"), **options)
        case Adadelta():
            state = slots("square_avg"), slots("acc_delta"), slots("step")
            return rule(adadelta, *state, rho=spec.rho, eps=spec.epsilon, foreach=False)
        case RMSprop():
            options = {"alpha": spec.rho, "eps": spec.epsilon, "momentum": 0.0, "centered": False, "foreach": False}
            return rule(rmsprop, slots("square_avg"), [], [], slots("step"), **options)
        case Adagrad():
            return rule(adagrad, slots("sum"), slots("step"), lr_decay=0.0, eps=spec.epsilon, fused=True)


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
