"""Loss, training step and gradients as MindSpore cells."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from backends.mindspore.network import Network
from backends.mindspore.optimizers import Update


class Loss(nn.Cell):
    """Mean softmax cross-entropy of a batch of images [n, C, H, W] with one-hot labels [n, classes].

    Labels are one-hot: the kernel that takes them computes loss and gradient in one pass and is the cheapest of all.
    It knows no float64, and LogSoftmax rounds to float32 within: elementary operations take their place there.
    """

    def __init__(self, network: Network, dtype: Any) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.fused = dtype == ms.float32
        self.cross_entropy = ops.SoftmaxCrossEntropyWithLogits()
        self.max, self.sum = ops.ReduceMax(keep_dims=True), ops.ReduceSum(keep_dims=False)
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, images: Any, labels: Any, *dropout_factors: Any) -> Any:
        logits = self.network(images, *dropout_factors)
        if self.fused:
            losses, _ = self.cross_entropy(logits, labels)
        else:
            shifted = logits - ops.stop_gradient(self.max(logits, 1))
            losses = ops.log(self.sum(ops.exp(shifted), 1)) - self.sum(labels * shifted, 1)
        return self.mean(losses)


class TrainStep(nn.Cell):
    """One optimizer step on the samples at ``index`` of the training data; gives the loss before the update.

    ``inputs`` are the scalars of the update, then the factors of dropout layers if given: each an argument of its own,
    because a tuple of tensors is a constant to MindSpore, and new constants compile the graph anew.
    """

    def __init__(self, loss: Loss, update: Update) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.update = update
        self.trained = len(update.weights) > 0
        self.loss_and_gradients = ms.value_and_grad(loss, None, weights=update.weights)
        self.gather = ops.Gather()

    def construct(self, images: Any, labels: Any, index: Any, *inputs: Any) -> Any:
        scalars, dropout_factors = inputs[: self.update.scalar_count], inputs[self.update.scalar_count :]
        batch, targets = self.gather(images, index, 0), self.gather(labels, index, 0)
        if not self.trained:
            return self.loss(batch, targets, *dropout_factors)
        loss, gradients = self.loss_and_gradients(batch, targets, *dropout_factors)
        self.update(gradients, scalars)
        return loss


class Gradients(nn.Cell):
    """The loss of one batch, its gradient with respect to the images, and those with respect to the weights."""

    def __init__(self, loss: Loss, weights: ms.ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.trained = len(weights) > 0
        self.loss_and_gradients = ms.value_and_grad(loss, 0, weights=weights if self.trained else None)

    def construct(self, images: Any, labels: Any, *dropout_factors: Any) -> Any:
        loss, gradients = self.loss_and_gradients(images, labels, *dropout_factors)
        return (loss, gradients[0], *gradients[1]) if self.trained else (loss, gradients)
