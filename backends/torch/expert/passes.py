"""A network's training pass written out in torch's own kernels, without an autograd graph.

Every part's backward pass follows from its own forward pass, so nothing needs to be recorded and walked; of a small
network's step on a CPU that recording is up to a third. The kernels are those that autograd calls, in the same order.
Parts not written out here run through autograd one by one. Where a value has several takers, its gradient is the sum
of theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d_with_indices

from backends.torch.expert.network import Blocked, Dense
from backends.torch.network import Concatenation, Masks, Network, PaddedConv2d, Sum
from specs.errors import RequestError
from specs.nodes import INPUT

_convolution_backward = torch.ops.aten.convolution_backward.default
_batch_norm_backward = torch.ops.aten.native_batch_norm_backward.default
_max_pool_backward = torch.ops.aten.max_pool2d_with_indices_backward.default
_blocked_max_pool_backward = torch.ops.aten.mkldnn_max_pool2d_backward.default
_relu_backward = torch.ops.aten.threshold_backward.default
_relu_backward_in_place = torch.ops.aten.threshold_backward.grad_input
_nll_loss = torch.ops.aten.nll_loss_forward.default
_nll_loss_backward = torch.ops.aten.nll_loss_backward.default
_log_softmax_backward = torch.ops.aten._log_softmax_backward_data.default

_MEAN, _NO_LABEL = 1, -100  # torch's codes: reduction "mean", and the label that would be left out

LossAndGradients = tuple[Tensor, list[Tensor], Tensor | None]
"""The mean cross-entropy, the gradient of every parameter in the network's order, and that of the images if wanted."""

OfInputs = Sequence[Tensor | None]
"""The loss gradient of each input of a part."""


class _Step:
    """One part. ``forward`` keeps what ``backward`` needs; ``backward`` leaves ``gradients`` of the parameters.

    ``may_overwrite`` says whether the gradient that ``backward`` is given is nobody else's.
    """

    gradients: Sequence[Tensor] = ()
    may_overwrite = True

    def forward(self, x: Tensor) -> Tensor:
        """The output; ``Sum`` and ``Concatenation`` have several inputs."""
        raise NotImplementedError

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        """From the loss gradient of the output to that of every input; None may stand where none is ``wanted``."""
        raise NotImplementedError

    def fresh(self) -> bool:
        """Whether the gradients that ``backward`` gives are nobody else's."""
        return True


class _Convolution(_Step):
    def __init__(self, module: nn.Conv2d) -> None:
        self.weight = module.weight.detach()
        self.bias = None if module.bias is None else module.bias.detach()
        self.options = (module.stride, module.padding, module.dilation)
        self.groups = module.groups

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return torch.conv2d(x, self.weight, self.bias, *self.options, self.groups)

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        biased = self.bias is not None
        sizes = [len(self.weight)] if biased else None
        of_input, weight, bias = _convolution_backward(
            gradient, self.x, self.weight, sizes, *self.options, False, (0, 0), self.groups, (wanted, True, biased)
        )
        self.gradients = (weight, bias) if biased else (weight,)
        return (of_input,)


class _Linear(_Step):
    """Of features, and of tokens one behind the other."""

    def __init__(self, module: nn.Linear) -> None:
        self.weight = module.weight.detach()
        self.transposed = self.weight.t()
        self.bias = None if module.bias is None else module.bias.detach()
        self.gradients = tuple(torch.empty_like(parameter) for parameter in module.parameters())

    def forward(self, x: Tensor) -> Tensor:
        self.x = x.reshape(-1, x.shape[-1])
        if self.bias is None:
            product = torch.mm(self.x, self.transposed)
        else:
            product = torch.addmm(self.bias, self.x, self.transposed)
        return product.view(*x.shape[:-1], -1)

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        rows = gradient.reshape(-1, gradient.shape[-1])
        torch.mm(rows.t(), self.x, out=self.gradients[0])
        if self.bias is not None:
            torch.sum(rows, 0, out=self.gradients[1])
        return (torch.mm(rows, self.weight).view(*gradient.shape[:-1], -1) if wanted else None,)


class _ReLU(_Step):
    def __init__(self, module: nn.ReLU) -> None:
        self.function = torch.relu_ if module.inplace else torch.relu

    def forward(self, x: Tensor) -> Tensor:
        self.y = self.function(x)
        return self.y

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        if gradient.is_mkldnn or not self.may_overwrite:
            return (_relu_backward(gradient, self.y, 0),)
        return (_relu_backward_in_place(gradient, self.y, 0, grad_input=gradient),)


class _MaxPool(_Step):
    def __init__(self, module: nn.MaxPool2d) -> None:
        self.options = (module.kernel_size, module.stride, module.padding, (1, 1), module.ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        if x.is_mkldnn:
            with torch.enable_grad():  # only so does the output carry with it where its maxima were
                self.y = torch.mkldnn_max_pool2d(x.requires_grad_(), *self.options).detach()
            return self.y
        y, self.indices = max_pool2d_with_indices(x, *self.options)
        return y

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        if gradient.is_mkldnn:
            return (_blocked_max_pool_backward(gradient, self.y, self.x, *self.options),)
        return (_max_pool_backward(gradient, self.x, *self.options, self.indices),)


class _BatchNorm(_Step):
    def __init__(self, module: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        self.name = "batch_norm2d" if isinstance(module, nn.BatchNorm2d) else "batch_norm1d"
        self.weight, self.bias = module.weight.detach(), module.bias.detach()
        self.running = (module.running_mean, module.running_var)
        self.tracked = module.num_batches_tracked
        self.momentum, self.epsilon = module.momentum, module.eps

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == x.shape[1]:
            raise RequestError(f"{self.name}: training needs more than one value per channel, got {list(x.shape)}")
        x = x.contiguous() if len(x) == 1 else x  # as BatchNorm2d of the plain network
        self.x = x
        self.tracked.add_(1)
        y, *self.statistics = torch.native_batch_norm(
            x, self.weight, self.bias, *self.running, True, self.momentum, self.epsilon
        )
        return y

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        gradient = gradient.contiguous() if len(gradient) == 1 else gradient
        of_input, *self.gradients = _batch_norm_backward(
            gradient, self.x, self.weight, *self.running, *self.statistics, True, self.epsilon, (wanted, True, True)
        )
        return (of_input,)


class _Flatten(_Step):
    def forward(self, x: Tensor) -> Tensor:
        self.shape = x.shape
        return x.flatten(1)

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        return (gradient.view(self.shape),)

    def fresh(self) -> bool:
        return self.may_overwrite


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

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        return (gradient.mul_(self.factors) if self.may_overwrite else gradient * self.factors,)


class _Blocked(_Step):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_mkldnn()

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        return (gradient.to_dense(),)


class _Dense(_Step):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_dense()

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        return (gradient.to_mkldnn(),)


class _Sum(_Step):
    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        self.inputs = 1 + len(others)
        for other in others:
            first = first + other
        return first

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        return (gradient,) * self.inputs

    def fresh(self) -> bool:
        return False


class _Concatenation(_Step):
    def __init__(self, module: Concatenation) -> None:
        self.axis = module.axis

    def forward(self, *values: Tensor) -> Tensor:
        self.sizes = [value.shape[self.axis] for value in values]
        return torch.cat(values, dim=self.axis)

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        return gradient.split(self.sizes, dim=self.axis)

    def fresh(self) -> bool:
        return self.may_overwrite  # the parts do not overlap


class _Module(_Step):
    """Any other layer, through autograd."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            self.x = x.detach().requires_grad_()
            self.y = self.module(self.x)
        return self.y.detach()

    def backward(self, gradient: Tensor, *, wanted: bool) -> OfInputs:
        of_input, *self.gradients = torch.autograd.grad(self.y, [self.x, *self.parameters], gradient)
        return (of_input,)

    def fresh(self) -> bool:
        return self.may_overwrite  # what only moves or adds hands on the gradient itself


def _step(module: nn.Module) -> _Step:
    match module:
        case PaddedConv2d():
            return _Module(module)
        case nn.Conv2d():
            return _Convolution(module)
        case nn.Linear():
            return _Linear(module)
        case nn.ReLU():
            return _ReLU(module)
        case nn.MaxPool2d():
            return _MaxPool(module)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return _BatchNorm(module)
        case nn.Flatten():
            return _Flatten()
        case Sum():
            return _Sum()
        case Concatenation():
            return _Concatenation(module)
        case nn.Dropout():
            return _Dropout(module)
        case Blocked():
            return _Blocked()
        case Dense():
            return _Dense()
        case _:
            return _Module(module)


def _loss_of(log_probabilities: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of log-probabilities float[n, classes], and its gradient with respect to them."""
    loss, count = _nll_loss(log_probabilities, labels, None, _MEAN, _NO_LABEL)
    one = torch.ones_like(loss)
    gradient = _nll_loss_backward(one, log_probabilities, labels, None, _MEAN, _NO_LABEL, count)
    if smoothing:
        loss = (1 - smoothing) * loss - smoothing * log_probabilities.mean()
        gradient.mul_(1 - smoothing).sub_(smoothing / log_probabilities.numel())
    return loss, gradient


class WrittenPass:
    """The training pass of ``network`` written out, over its own parameters and buffers."""

    def __init__(self, network: Network, label_smoothing: float = 0.0) -> None:
        self._network = network
        self._smoothing = label_smoothing
        self._steps = {part.name: _step(part.module) for part in network.parts}
        self._dropouts = {name: step for name, step in self._steps.items() if isinstance(step, _Dropout)}
        autograd = any(isinstance(step, _Module) for step in self._steps.values())
        self.mode = torch.no_grad if autograd else torch.inference_mode
        self._trained: set[str] = set()  # parts that have parameters, or take what comes of some
        for name, module, inputs in network.parts:
            if any(True for _ in module.parameters()) or not self._trained.isdisjoint(inputs):
                self._trained.add(name)
        self._say_who_may_overwrite()

    def __call__(
        self, images: Tensor, labels: Tensor, dropout_masks: Masks, *, of_input: bool = False
    ) -> LossAndGradients:
        """One forward and backward pass over a batch: images float[n, C, H, W], labels int64[n]."""
        for name, dropout in self._dropouts.items():
            dropout.mask = dropout_masks.get(name)
        values = {INPUT: images}
        for name, _, inputs in self._network.parts:
            values[name] = self._steps[name].forward(*[values[source] for source in inputs])
            for source in self._network.freed[name]:
                del values[source]
        log_probabilities = torch.log_softmax(values.pop(name), 1)
        loss, gradient = _loss_of(log_probabilities, labels, self._smoothing)
        gradient = _log_softmax_backward(gradient, log_probabilities, 1, log_probabilities.dtype)
        of_images = self._backward(gradient, wanted={INPUT, *self._steps} if of_input else self._trained)
        return loss, [gradient for step in self._steps.values() for gradient in step.gradients], of_images

    def _backward(self, gradient: Tensor, *, wanted: set[str]) -> Tensor | None:
        """Leave the gradients of all parameters in the steps, from that of the logits; gives that of the images."""
        gradients = {self._network.parts[-1].name: gradient}
        for name, _, inputs in reversed(self._network.parts):
            if name not in wanted:
                continue
            of_inputs = self._steps[name].backward(gradients.pop(name), wanted=not wanted.isdisjoint(inputs))
            for source, of_source in zip(inputs, of_inputs, strict=True):
                if source in wanted:
                    gradients[source] = gradients[source] + of_source if source in gradients else of_source
        return gradients.get(INPUT)

    def _say_who_may_overwrite(self) -> None:
        uses = Counter(source for part in self._network.parts for source in part.inputs)
        for name, _, inputs in reversed(self._network.parts):
            for source in inputs:
                if source in self._steps and uses[source] == 1:  # else it is a sum of its own
                    self._steps[source].may_overwrite = self._steps[name].fresh()
