"""Run in torch's interpreter: torch.optim over given gradients, in float64. Arguments: input .npz, output .npz.

In: ``cases`` (JSON list of {kind: options}), ``start`` [n], ``gradients`` [steps, n], ``rates`` [steps], relative to
each case's own learning rate. Out: ``trajectory_<i>`` [steps, n] and ``state_<i>_<slot>`` [n] after the last step.
"""

import json
import sys

import numpy as np
import torch

BUILDERS = {
    "sgd": lambda p, o: torch.optim.SGD(p, momentum=o["momentum"], nesterov=o["nesterov"], **common(o)),
    "adam": lambda p, o: torch.optim.Adam(p, betas=(o["beta1"], o["beta2"]), eps=o["epsilon"], **common(o)),
    "adamw": lambda p, o: torch.optim.AdamW(p, betas=(o["beta1"], o["beta2"]), eps=o["epsilon"], **common(o)),
    "adadelta": lambda p, o: torch.optim.Adadelta(p, rho=o["rho"], eps=o["epsilon"], **common(o)),
    "rmsprop": lambda p, o: torch.optim.RMSprop(p, alpha=o["rho"], eps=o["epsilon"], **common(o)),
    "adagrad": lambda p, o: torch.optim.Adagrad(p, eps=o["epsilon"], **common(o)),
}

SLOTS = {
    "velocity": "momentum_buffer",
    "first_moment": "exp_avg",
    "second_moment": "exp_avg_sq",
    "square_average": "square_avg",
    "accumulated_update": "acc_delta",
    "square_sum": "sum",
}


def common(options: dict) -> dict:
    return {"lr": options["learning_rate"], "weight_decay": options["weight_decay"]}


def main(source: str, target: str) -> None:
    torch.set_num_threads(1)
    given = np.load(source)
    results = {}
    for i, case in enumerate(json.loads(str(given["cases"]))):
        ((kind, options),) = case.items()
        parameter = torch.nn.Parameter(torch.tensor(given["start"]))
        optimizer = BUILDERS[kind]([parameter], options)
        trajectory = []
        for gradient, rate in zip(given["gradients"], given["rates"], strict=True):
            optimizer.param_groups[0]["lr"] = options["learning_rate"] * float(rate)
            parameter.grad = torch.tensor(gradient)
            optimizer.step()
            trajectory.append(parameter.detach().numpy().copy())
        results[f"trajectory_{i}"] = np.array(trajectory)
        for slot, theirs in SLOTS.items():
            value = optimizer.state[parameter].get(theirs)
            if value is not None:
                results[f"state_{i}_{slot}"] = value.numpy()
    np.savez(target, **results)


main(*sys.argv[1:])
