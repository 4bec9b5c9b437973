"""Level 4: thirty steps of every bundled recipe, on random data clear of ties and on real digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance.case import ConformanceCase, Masks, Observation, cast, draw_masks, seeded
from harness.conformance.kinks import CLEARANCE, DRAWS, kinks_per_sample, margin
from harness.datasets import Dataset
from specs.architecture import Architecture
from specs.initializers import initial_parameters
from specs.recipe import Recipe
from specs.redundant_biases import decided_by_rounding
from specs.schedule import learning_rates

STEPS = 30
TEST_SAMPLES = 64
RANDOM_SAMPLES = 512
DATASET_SAMPLES = 2048

# So many kinks may be passed in one step if a batch of that clearance is to be found in a few draws. A network that
# passes more with two samples takes batches as they come: float64 judges it to 1e-10 all the same, float32 within three
# times NumPy's own error from weights moved by ROUGH_ROUNDING.
KINKS_PER_STEP = 200_000
BATCH_AS_IT_COMES = 4

# Real images: what is added to them to break exact ties, about the rounding of a pixel.
TIE_BREAK = 1e-7

LARGEST_BATCH = 8

# Of a batch smaller than LARGEST_BATCH a network passes so many kinks that rounding decides some of them, and kernels
# that sum in another arithmetic round worse than NumPy (Winograd's convolutions of 384 channels: an rms error of 5e-5
# where NumPy's is 1.3e-5). What float32 itself does to such a network is seen with its first weights moved by this
# share of themselves: of alexnet float64 alone then parts by 1e-2 within thirty steps. From weights that are not moved
# NumPy's own error is luck: in resnet20's losses 4e-2 with one thread and 6e-5 with two.
ROUGH_ROUNDING = 1e-6

# One such draw is luck as well: in four steps resnet20's losses err by 1e-6 to 1.5e-4. The largest of some counts.
ROUGH_DRAWS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class TrajectoryCase:
    """Training as a run does it: steps in two calls, evaluation, a smaller last batch, evaluation of other images.

    ``images`` float32[n, C, H, W] and ``labels`` int64[n] are the training data; per step ``batches`` holds
    indices int64[batch], ``rates`` its learning rate and ``dropout_masks`` bool[batch, *shape] per dropout layer. The
    last batch has half the size of the others.
    ``ties``: whether the images have exact ties, as real ones do. ``roughness``: the share of themselves by which the
    first weights are moved, at random. ``rounding`` names the biases and running means that rounding alone decides, see
    ``specs.redundant_biases``: they are not observed, nor is evaluation where there are such running means.
    """

    name: str
    architecture: Architecture
    recipe: Recipe
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    batches: tuple[NDArray[np.int64], ...]
    rates: NDArray[np.float64]
    dropout_masks: tuple[Masks, ...]
    ties: bool
    roughness: float = 0.0
    rounding: frozenset[str] = frozenset()

    def spec(self, precision: str) -> SessionSpec:
        """A session as the recipe wants it."""
        return trajectory_spec(self.architecture, self.recipe, precision)

    @property
    def yardsticks(self) -> tuple[ConformanceCase, ...]:
        """This case; where there are ties, it on images moved by so little that only ties notice, each its own way.

        Where kinks cannot be kept clear of, it from weights moved by ROUGH_ROUNDING, ROUGH_DRAWS times.
        """
        if not self.ties and len(self.batches[0]) < LARGEST_BATCH:
            return tuple(
                replace(self, name=f"{self.name}, rounded roughly, {draw}", roughness=ROUGH_ROUNDING)
                for draw in range(ROUGH_DRAWS)
            )
        if not self.ties:
            return (self,)
        noise = seeded(self.name).uniform(0, TIE_BREAK, self.images.shape).astype(np.float32)
        return (replace(self, name=f"{self.name}, ties broken", images=self.images + noise),)

    def observe(self, session: Session, dtype: np.dtype[Any]) -> Observation:
        """Quantities: losses by step, parameters after the last step, and evaluation (logits with them)."""
        session.set_training_data(self.images.astype(dtype), self.labels)
        session.load_parameters(self._first_weights(dtype))
        session.compile(len(self.batches[0]), len(self.batches) - 1)
        steps = len(self.batches)
        calls = (slice(0, steps // 3), slice(steps // 3, steps - 1), slice(steps - 1, steps))
        losses = [*self._trained(session, calls[0]), *self._trained(session, calls[1])]
        midway = session.predict(self.images[-TEST_SAMPLES:].astype(dtype))
        losses += self._trained(session, calls[2])
        near = " near kinks" if self.ties else ""
        parameters = {name: array for name, array in session.parameters().items() if name not in self.rounding}
        observed = {
            f"losses{near}": {f"step {step}": np.asarray(loss, dtype) for step, loss in enumerate(losses, start=1)},
            f"parameters{near}": parameters,
        }
        if not any(name.endswith(".running_mean") for name in self.rounding):
            logits = session.predict(self.images[:TEST_SAMPLES].astype(dtype))
            observed[f"evaluation{near}"] = {"logits before the last step": midway, "logits": logits}
        return observed

    def _trained(self, session: Session, call: slice) -> list[float]:
        """The losses of some steps, made in one call."""
        dropout_masks = {
            name: np.stack([step[name] for step in self.dropout_masks[call]]) for name in self.dropout_masks[0]
        }
        batches = np.stack(self.batches[call])
        return list(session.train_steps(batches, self.rates[call], dropout_masks=dropout_masks or None))

    def _first_weights(self, dtype: np.dtype[Any]) -> Arrays:
        generator = seeded(self.name)
        return {
            name: (weight * (1 + self.roughness * generator.standard_normal(weight.shape))).astype(dtype)
            for name, weight in initial(self.architecture, self.recipe, dtype).items()
        }


def trajectory_spec(architecture: Architecture, recipe: Recipe, precision: str) -> SessionSpec:
    """A session that trains ``architecture`` with the recipe's optimizer and loss."""
    return SessionSpec(
        architecture=architecture,
        optimizer=recipe.optimizer,
        label_smoothing=recipe.label_smoothing,
        precision=precision,
    )


def initial(architecture: Architecture, recipe: Recipe, dtype: np.dtype[Any]) -> Arrays:
    """The weights that a run of the recipe with seed 0 starts from."""
    return cast(initial_parameters(architecture, recipe.initializer, seed=0), dtype)


def rates_of(recipe: Recipe, batch: int, steps: int = STEPS, epochs: int = 1) -> NDArray[np.float64]:
    """The learning rates of the first ``steps`` steps of a run that makes them in ``epochs`` epochs.

    Of BATCH_AS_IT_COMES samples they are smaller as the batch is (Goyal et al. 2017, section 2.1): at the recipe's own
    rates so few samples drive a large network into chaos, where float64 itself parts by 1e-8 within thirty steps.
    """
    rates = learning_rates(
        recipe.learning_rate_schedule,
        base=recipe.optimizer.learning_rate,
        epochs=max(recipe.epochs, epochs),
        steps_per_epoch=steps // epochs,
    )
    return rates[:steps] * (batch / recipe.batch_size if batch == BATCH_AS_IT_COMES else 1)


def too_large(architecture: Architecture) -> bool:
    """Whether not even two samples can be expected to keep clear of kinks: see KINKS_PER_STEP."""
    return _clear_batch(architecture) < 2


def on_dataset(architecture: Architecture, recipe: Recipe, dataset: Dataset) -> TrajectoryCase:
    """The recipe on real images, wherever their kinks are, in batches of up to LARGEST_BATCH.

    Not for a network that is too_large: ties of real images and thirty steps through so many kinks let float64 itself
    part by more than any tolerance that would notice a mistake.
    """
    name = f"{recipe.name} on {dataset.name}"
    generator = seeded(name)
    sizes = _batch_sizes(architecture, STEPS)
    labels = dataset.train_labels[:DATASET_SAMPLES]
    return TrajectoryCase(
        name=name,
        architecture=architecture,
        recipe=recipe,
        images=recipe.preprocessing.apply(dataset.train_images[:DATASET_SAMPLES]),
        labels=labels,
        batches=tuple(generator.integers(len(labels), size=size) for size in sizes),
        rates=rates_of(recipe, sizes[0]),
        dropout_masks=tuple(draw_masks(architecture, (size,), generator) for size in sizes),
        ties=True,
        rounding=decided_by_rounding(architecture, recipe.optimizer),
    )


def on_random_data(
    architecture: Architecture, recipe: Recipe, *, steps: int = STEPS, epochs: int = 1, name: str | None = None
) -> TrajectoryCase:
    """``steps`` of the recipe, made in ``epochs`` epochs, on random data.

    They are in batches that the reference passes clear of all kinks, if the network lets it: the reference trains along
    while the batches are drawn, and one that brings any value within CLEARANCE of a kink is drawn again. Raises
    RuntimeError when DRAWS of them do. See KINKS_PER_STEP for networks too large for that.
    """
    name = name or f"{recipe.name} on random data"
    generator = seeded(name)
    images, labels = random_data(architecture, RANDOM_SAMPLES, generator)
    session = NumpySession(trajectory_spec(architecture, recipe, "float64"))
    session.set_training_data(images, labels)
    session.load_parameters(initial(architecture, recipe, np.dtype(np.float64)))
    sizes = _batch_sizes(architecture, steps)
    rates = rates_of(recipe, sizes[0], steps, epochs)
    crowded = too_large(architecture)
    batches: list[NDArray[np.int64]] = []
    dropout_masks: list[Masks] = []
    for size, rate in zip(sizes, rates, strict=True):
        for _ in range(DRAWS):
            batch, mask = generator.integers(len(images), size=size), draw_masks(architecture, (size,), generator)
            if crowded or margin(session, architecture, images[batch], dropout_masks=mask) > CLEARANCE:
                break
        else:
            raise RuntimeError(f"{name}: no batch clear of kinks in {DRAWS} draws at step {len(batches) + 1}")
        batches.append(batch)
        dropout_masks.append(mask)
        if not crowded:
            session.train_steps(batch[None], np.array([rate]), dropout_masks={n: m[None] for n, m in mask.items()})
    return TrajectoryCase(
        name=name,
        architecture=architecture,
        recipe=recipe,
        images=images,
        labels=labels,
        batches=tuple(batches),
        rates=rates,
        dropout_masks=tuple(dropout_masks),
        ties=False,
        rounding=decided_by_rounding(architecture, recipe.optimizer),
    )


def random_data(
    architecture: Architecture, samples: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images float32[samples, C, H, W] in [-1, 1) and labels int64[samples] that can be learnt from them.

    Every pixel is continuous: no two of a window are equal, and none is constant over the images.
    """
    templates = generator.random((architecture.classes, *architecture.input), dtype=np.float32)
    labels = generator.integers(architecture.classes, size=samples)
    noise = generator.random((samples, *architecture.input), dtype=np.float32)
    return templates[labels] + noise - 1, labels


def _batch_sizes(architecture: Architecture, steps: int) -> list[int]:
    size = _clear_batch(architecture)
    size = BATCH_AS_IT_COMES if too_large(architecture) else size
    return [size] * (steps - 1) + [size // 2]


def _clear_batch(architecture: Architecture) -> int:
    """How many samples a batch may have that is to keep clear of kinks."""
    return min(LARGEST_BATCH, KINKS_PER_STEP // max(kinks_per_sample(architecture), 1))
