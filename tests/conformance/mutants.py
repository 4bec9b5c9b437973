"""The planted mistakes, each with the level that must catch it."""

from __future__ import annotations

from dataclasses import replace

from backends.numpy import network as numpy_network
from backends.numpy import optimizers as numpy_optimizers
from backends.numpy import session as numpy_session
from specs import layers as L
from specs.optimizers import SGD, Adam
from tests.conformance import wrong_layers as layers
from tests.conformance import wrong_state as state
from tests.conformance import wrong_training as training
from tests.conformance.planting import Mutant, Open, building, computing, optimizing, patched, stepping


def _mutants(table: dict[tuple[str, str], Open]) -> tuple[Mutant, ...]:
    return tuple(Mutant(level=level, name=name, open=open_session) for (level, name), open_session in table.items())


# The mistakes that have been made in real adapters over and over: the suite is worth nothing unless it finds them all.
MUTANTS = _mutants(
    {
        ("layers", "dropout without rescaling"): computing(L.Dropout, layers.unscaled_dropout),
        ("layers", "dropout left on in evaluation"): training.DropoutInEvaluation,
        ("layers", "keep-probability for p"): building(L.Dropout, lambda layer: L.Dropout(p=min(1 - layer.p, 0.99))),
        ("layers", "flatten in H,W,C order"): computing(L.Flatten, layers.channels_last_flatten),
        ("layers", "convolution flipped"): computing(L.Conv2d, layers.flipped_convolution),
        ("layers", "padding put on one side only"): computing(L.Conv2d, layers.one_sided_convolution),
        ("layers", "average pooling that counts padding"): building(L.AvgPool2d, layers.padding_counted),
        ("layers", "batch-norm momentum reversed"): building(
            L.BatchNorm2d, lambda layer: replace(layer, momentum=max(1 - layer.momentum, 0.01))
        ),
        ("layers", "biased for unbiased running variance"): computing(L.BatchNorm2d, layers.biased_running_variance),
        ("layers", "ties in max pooling broadcast to all winners"): computing(L.MaxPool2d, layers.every_winner_pooling),
        ("networks", "sum for mean in the loss"): patched(numpy_session, cross_entropy=layers.summed_loss),
        ("networks", "softmax applied twice"): patched(numpy_session, cross_entropy=layers.loss_of_probabilities),
        ("optimizers", "epsilon inside the root"): patched(numpy_optimizers, _divided=training.epsilon_inside),
        ("optimizers", "Adam without bias correction"): stepping(Adam, training.uncorrected_adam),
        ("optimizers", "momentum scaled by 1 - dampening"): stepping(SGD, training.dampened_sgd),
        ("optimizers", "learning rate folded into the buffer"): patched(numpy_session, update=training.rate_in_buffer),
        ("optimizers", "weight decay coupled in AdamW"): optimizing(training.coupled),
        ("optimizers", "epsilon-hat Adam"): stepping(Adam, training.epsilon_hat_adam),
        ("optimizers", "Nesterov silently ignored"): optimizing(
            lambda optimizer: replace(optimizer, nesterov=False) if isinstance(optimizer, SGD) else optimizer
        ),
        ("optimizers", "mean_square starting at 1"): training.MeanSquareFromOne,
        ("optimizers", "one bias not trained"): training.OneBiasNotTrained,
        ("trajectories", "batch order shuffled by the framework"): training.Shuffled,
        ("trajectories", "last partial batch dropped"): training.PartialBatchDropped,
        ("trajectories", "stale weights in evaluation"): training.StaleEvaluation,
    }
)

# Met in the frameworks by this suite, or planted so that no check is without a mistake that it catches.
FURTHER = _mutants(
    {
        ("layers", "leaky relu with derivative 1 at 0 (Paddle)"): computing(L.LeakyReLU, layers.steep_leaky_relu),
        ("layers", "tanh flat from 5 on (MindSpore)"): computing(L.Tanh, layers.clamped_tanh),
        ("layers", "concat with the last path first"): patched(numpy_network, join=layers.reversed_concat),
        ("layers", "the mean of two branches for their sum"): patched(numpy_network, join=layers.averaged_sum),
        ("networks", "no gradient through the shortcut"): patched(numpy_network, join=layers.lost_shortcut),
        ("networks", "loss of a sample cut off at 64 (Paddle)"): patched(
            numpy_session, cross_entropy=layers.clipped_loss
        ),
        ("networks", "weights stored in half precision"): training.RoundedWeights,
        ("optimizers", "decay that spares gamma and beta (MindSpore)"): training.DecaySparesBatchNorm,
        ("networks", "smoothing over all classes but the label"): patched(
            numpy_session, cross_entropy=layers.smoothed_over_the_others
        ),
        ("layers", "layer norm with another's epsilon (Keras, MindSpore)"): building(
            L.LayerNorm, lambda layer: replace(layer, epsilon=layer.epsilon / 100)
        ),
        ("layers", "one head for all"): building(L.MultiHeadAttention, lambda layer: replace(layer, heads=1)),
        ("layers", "no causal mask"): building(L.MultiHeadAttention, lambda layer: replace(layer, causal=False)),
        ("layers", "the first token for the last"): building(L.TakeToken, lambda layer: replace(layer, index=0)),
        ("layers", "tokens column by column"): computing(L.ToTokens, layers.columns_first),
        ("optimizers", "norms clipped after weight decay"): training.ClippedAfterDecay,
        ("optimizers", "every gradient clipped by its own norm"): patched(
            numpy_session, clipped=training.clipped_one_by_one
        ),
        ("optimizers", "decay of weights alone that takes biases too"): optimizing(
            lambda optimizer: replace(optimizer, decay="all")
        ),
        ("optimizers", "step count lost on loading"): training.StepCountLost,
        ("optimizers", "two biases of a recurrent layer, both trained"): training.TwoBiases,
        ("layers", "a GRU with the update gate first (Keras)"): computing(L.GRU, layers.update_gate_first),
        ("layers", "a GRU that resets before the product"): computing(L.GRU, layers.reset_before_the_product),
        ("trajectories", "the same dropout mask every step"): training.SameMaskEveryStep,
        ("trajectories", "the same dropout masks every epoch"): training.SameMasksEveryEpoch,
        ("trajectories", "equal masks of two dropouts of one shape"): training.EqualMasks,
        ("trajectories", "masks repeated from the ninth sample"): training.RepeatedFromTheNinth,
        ("trajectories", "masks repeated from the ninth sample, in training"): training.RepeatedInTraining,
        ("trajectories", "dropout by eight random bits"): training.EightBits,
        ("runs", "dropout that nobody seeded"): training.SeedIgnored,
        ("runs", "dropout seeded alike for every seed"): training.SeedFixed,
        ("runs", "a tenth of the learning rate"): training.TenthOfTheRate,
        ("special", "relu of NaN is 0 (Paddle, MindSpore)"): computing(L.ReLU, layers.hiding_relu),
        ("special", "a sum that leaves NaN out"): patched(numpy_network, join=layers.hiding_sum),
        ("loop", "arrays handed out as views"): state.Views,
        ("loop", "evaluation by the weights of its first call"): state.FirstEvaluation,
        ("loop", "one array for all logits"): state.OneArrayForLogits,
        ("loop", "no return to training after evaluation"): state.StaysInEvaluation,
        ("loop", "images of later epochs ignored"): state.FirstImages,
        ("loop", "the first batch's size in every mean"): state.FirstBatchSize,
        ("contract", "views of what is moved in place"): state.Views,
        ("contract", "parameters that are the caller's arrays"): state.CallersParameters,
        ("contract", "images divided in place by the caller's leave"): state.ImagesScaledInPlace,
        ("contract", "indices as uint16"): state.SixteenBits,
        ("contract", "one state of the optimizer for all sessions"): state.SharedSlots,
    }
)
