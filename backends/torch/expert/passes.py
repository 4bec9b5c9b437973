"""A network's training pass written out in torch's own kernels, without an autograd graph.

In a sequential network every layer's backward pass follows from its own forward pass, so nothing needs to be recorded
and walked; of a small network's step on a CPU that recording is up to a third. The kernels are those that autograd
calls, in the same order. Layers not written out here run through autograd one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d_with_indices

from backends.torch.network import Blocked, Dense

_convolution_backward = torch.ops.aten.convolution_backward.default
_max_pool_backward = torch.ops.aten.max_pool2d_with_indices_backward.default
_blocked_max_pool_backward = torch.ops.aten.mkldnn_max_pool2d_backward.default
_relu_backward = torch.ops.aten.threshold_backward.default
_relu_backward_in_place = torch.ops.aten.threshold_backward.grad_input
_nll_loss = torch.ops.aten.nll_loss_forward.default
_nll_loss_backward = torch.ops.aten.nll_loss_backward.default
_log_softmax_backward = torch.ops.aten._log_softmax_backward_data.default

_MEAN, _NO_LABEL = 1, -100  # torch's codes: reduction "mean", and the label that would be left out


Masks = Mapping[str, Tensor]
"""Dropout layer to bool[batch, *output_shape], True keeps; empty: torch's generator draws."""

LossAndGradients = tuple[Tensor, list[Tensor], Tensor | None]
"""The mean cross-entropy, the gradient of every parameter in the network's order, and that of the images if wanted."""


class AutogradPass:
    """The training pass of ``network`` as torch records it, under ``context`` (autocast)."""

    mode = torch.enable_grad

    def __init__(self, network: nn.Sequential, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._network = network
        self._context = context

    def __call__(
        self, images: Tensor, labels: Tensor, dropout_masks: Masks, *, of_input: bool = False
    ) -> LossAndGradients:
        """One forward and backward pass over a batch; gradients are left in the parameters' ``grad`` too."""
        images.requires_grad_(of_input)
        self._network.zero_grad()
        with self._context():
            logits = self._masked(images, dropout_masks) if dropout_masks else self._network(images)
            loss = cross_entropy(logits, labels)
        loss.backward()
        return loss.detach(), [parameter.grad for parameter in self._network.parameters()], images.grad

    def _masked(self, x: Tensor, dropout_masks: Masks) -> Tensor:
        for name, module in self._network.named_children():
            x = x * dropout_masks[name] / (1 - module.p) if name in dropout_masks else module(x)
        return x


class _Step:
    """One layer. ``forward`` keeps what ``backward`` needs; ``backward`` leaves ``gradients`` of the parameters."""

    gradients: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        """From the loss gradient of the output, which it may overwrite, to that of the input, if ``wanted``."""
        raise NotImplementedError


class _Convolution(_Step):
    def __init__(self, module: nn.Conv2d) -> None:
        self.weight = module.weight.detach()
        self.bias = None if module.bias is None else module.bias.detach()
        self.options = (module.stride, module.padding, module.dilation)

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return torch.conv2d(x, self.weight, self.bias, *self.options)

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        biased = self.bias is not None
        sizes = [len(self.weight)] if biased else None
        of_input, weight, bias = _convolution_backward(
            gradient, self.x, self.weight, sizes, *self.options, False, (0, 0), 1, (wanted, True, biased)
        )
        self.gradients = (weight, bias) if biased else (weight,)
        return of_input if wanted else None


class _Linear(_Step):
    def __init__(self, module: nn.Linear) -> None:
        self.weight = module.weight.detach()
        self.transposed = self.weight.t()
        self.bias = None if module.bias is None else module.bias.detach()
        self.gradients = tuple(torch.empty_like(parameter) for parameter in module.parameters())

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return torch.mm(x, self.transposed) if self.bias is None else torch.addmm(self.bias, x, self.transposed)

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        torch.mm(gradient.t(), self.x, out=self.gradients[0])
        if self.bias is not None:
            torch.sum(gradient, 0, out=self.gradients[1])
        return torch.mm(gradient, self.weight) if wanted else None


class _ReLU(_Step):
    def __init__(self, module: nn.ReLU) -> None:
        self.function = torch.relu_ if module.inplace else torch.relu

    def forward(self, x: Tensor) -> Tensor:
        self.y = self.function(x)
        return self.y

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        if gradient.is_mkldnn:
            return _relu_backward(gradient, self.y, 0)
        return _relu_backward_in_place(gradient, self.y, 0, grad_input=gradient)


class _MaxPool(_Step):
    def __init__(self, module: nn.MaxPool2d) -> None:
        self.options = (module.kernel_size, module.stride, module.padding, (1, 1), False)

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        if x.is_mkldnn:
            with torch.enable_grad():  # only so does the output carry with it where its maxima were
                self.y = torch.mkldnn_max_pool2d(x.requires_grad_(), *self.options).detach()
            return self.y
        y, self.indices = max_pool2d_with_indices(x, *self.options)
        return y

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        if gradient.is_mkldnn:
            return _blocked_max_pool_backward(gradient, self.y, self.x, *self.options)
        return _max_pool_backward(gradient, self.x, *self.options, self.indices)


class _Flatten(_Step):
    def forward(self, x: Tensor) -> Tensor:
        self.shape = x.shape
        return x.flatten(1)

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        return gradient.view(self.shape)


class _Dropout(_Step):
    """Draws from torch's generator, no more bits than p needs: ``bernoulli_`` costs ten times as much on a CPU.

    ``mask`` (True keeps), where given, takes the place of the draw.
    """

    def __init__(self, module: nn.Dropout) -> None:
        self.keep = 1 - module.p
        exact = (
            dtype for dtype in (torch.int8, torch.int16) if (self.keep * 2 ** torch.iinfo(dtype).bits).is_integer()
        )
        self.dtype = next(exact, torch.int32)
        whole = torch.iinfo(self.dtype)
        self.greatest_kept = whole.min + max(round(self.keep * 2**whole.bits), 1) - 1
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.mask is None:
            words = -(-x.numel() * self.dtype.itemsize // torch.int64.itemsize)
            draws = torch.empty(words, dtype=torch.int64).random_(-(2**63), None).view(self.dtype)
            kept = torch.le(draws[: x.numel()].view(x.shape), self.greatest_kept, out=torch.empty_like(x))
        else:
            kept = self.mask.to(x.dtype)
        self.factors = kept.div_(self.keep)
        return x * self.factors

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        return gradient.mul_(self.factors)


class _Blocked(_Step):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_mkldnn()

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        return gradient.to_dense()


class _Dense(_Step):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_dense()

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        return gradient.to_mkldnn()


class _Module(_Step):
    """Any other layer, through autograd."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.parameters = list(module.parameters())

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            self.x = x.detach().requires_grad_()
            self.y = self.module(self.x)
        return self.y.detach()

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        of_input, *self.gradients = torch.autograd.grad(self.y, [self.x, *self.parameters], gradient)
        return of_input


def _step(module: nn.Module) -> _Step:
    match module:
        case nn.Conv2d():
            return _Convolution(module)
        case nn.Linear():
            return _Linear(module)
        case nn.ReLU():
            return _ReLU(module)
        case nn.MaxPool2d():
            return _MaxPool(module)
        case nn.Flatten():
            return _Flatten()
        case nn.Dropout():
            return _Dropout(module)
        case Blocked():
            return _Blocked()
        case Dense():
            return _Dense()
        case _:
            return _Module(module)


class WrittenPass:
    """The training pass of ``network`` written out, over its own parameters and buffers."""

    def __init__(self, network: nn.Sequential) -> None:
        self._steps = [_step(module) for module in network]
        self._dropouts = {
            name: step
            for (name, _), step in zip(network.named_children(), self._steps, strict=True)
            if isinstance(step, _Dropout)
        }
        autograd = any(isinstance(step, _Module) for step in self._steps)
        self.mode = torch.no_grad if autograd else torch.inference_mode
        self._first_trained = next(i for i, module in enumerate(network) if any(True for _ in module.parameters()))

    def __call__(
        self, images: Tensor, labels: Tensor, dropout_masks: Masks, *, of_input: bool = False
    ) -> LossAndGradients:
        """See ``AutogradPass``."""
        for name, dropout in self._dropouts.items():
            dropout.mask = dropout_masks.get(name)
        x = images
        for step in self._steps:
            x = step.forward(x)
        log_probabilities = torch.log_softmax(x, 1)
        loss, count = _nll_loss(log_probabilities, labels, None, _MEAN, _NO_LABEL)
        one = torch.ones_like(loss)
        gradient = _nll_loss_backward(one, log_probabilities, labels, None, _MEAN, _NO_LABEL, count)
        gradient = _log_softmax_backward(gradient, log_probabilities, 1, log_probabilities.dtype)
        last = 0 if of_input else self._first_trained
        for step in reversed(self._steps[last + 1 :]):
            gradient = step.backward(gradient, wanted=True)
        of_images = self._steps[last].backward(gradient, wanted=of_input)
        return loss, [gradient for step in self._steps for gradient in step.gradients], of_images
