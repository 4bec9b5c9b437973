"""A network with its optimizer in plain JAX, on a CPU or a CUDA device: pure functions under ``jax.jit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.jax.network import MaxPool, canonical, cross_entropy, forward, native, native_masks
from backends.jax.optimizers import State, clipped, scales, updated
from specs.layers import Conv2d
from specs.nodes import Node
from specs.shapes import buffer_shapes, infer, parameter_shapes

BLOCK = 32
"""Steps of one ``lax.scan``: so many that handing them over costs nothing beside them."""

_PREDICT_BATCH = 1000


class JaxSession(Session):
    """See ``backends.contract.Session``. ``jax.value_and_grad`` of a pure loss, one jitted function a step.

    "default" is what JAX's first tutorials do: every batch goes from NumPy to a jitted step. "recommended" keeps the
    data on the device and makes many steps in one ``lax.scan`` where the network has no convolution (inside a loop
    XLA's are 10 to 30 times slower on a CPU). There, and on every other device than a CPU, it donates the state, so
    that it is updated in place; a single step of a network with convolutions is 3 to 7 % slower for it on a CPU.
    """

    def __init__(
        self, spec: SessionSpec, device: Any, *, nodes: Sequence[Node] = (), max_pool: MaxPool | None = None
    ) -> None:
        """``nodes`` are computed in place of the architecture's own, ``max_pool`` in place of XLA's pooling."""
        self._spec = spec
        self._device = device
        self._computed_in = jnp.bfloat16 if spec.precision == "bfloat16" else spec.dtype
        self._nodes = infer(spec.architecture)
        self._forward = partial(forward, nodes or self._nodes, max_pool=max_pool)
        self._named = {node.name: node for node in self._nodes}
        parameters, buffers = parameter_shapes(spec.architecture), buffer_shapes(spec.architecture)
        slots = {f"{name}.{slot}": shape for name, shape in parameters.items() for slot in spec.optimizer.slots}
        self._shapes = parameters, buffers, slots
        self._state = State(*(self._placed({n: np.zeros(s) for n, s in shapes.items()}) for shapes in self._shapes))
        self._steps = self._draws = 0
        self._key = jax.random.key(spec.seed)
        recommended = spec.tuning != "default"
        self._on_device = recommended
        self._in_blocks = recommended and not any(isinstance(node.layer, Conv2d) for node in self._nodes)
        self._donates = self._in_blocks or (recommended and device.platform != "cpu")
        donated = {"donate_argnums": 0} if self._donates else {}
        self._step = jax.jit(self._step_of_data if recommended else self._step_of_batch, **donated)
        self._block = jax.jit(self._steps_of_data, **donated)
        self._gradients = jax.jit(jax.value_and_grad(self._loss, argnums=(0, 1), has_aux=True))
        self._logits = jax.jit(self._evaluate)

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copies of images float[N, C, H, W] and labels int64[N]: on the device but in "default"."""
        data = self._native_images(images), np.array(labels, np.int32)
        self._data = jax.device_put(data, self._device) if self._on_device else data

    def compile(self, batch_size: int, steps: int) -> None:
        """Compile a block of ``BLOCK`` steps where calls are that long and steps go in blocks; the state stays."""
        if self._in_blocks and steps >= BLOCK:
            spare = jax.tree.map(jnp.copy, self._state)
            batches, draws = np.zeros((BLOCK, batch_size), np.int32), np.zeros(BLOCK, np.uint32)
            self._block(spare, self._data, (batches, self._scales(np.zeros(BLOCK)), draws, {}))

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """Losses float64[K] of K steps on int64[K, batch], at rates float64[K], masks bool[K, batch, *shape]."""
        count = len(batch_indices)
        draws = np.arange(self._draws, self._draws + count, dtype=np.uint32)
        masks = native_masks(self._nodes, dropout_masks, batch_indices.shape)
        steps = batch_indices.astype(np.int32), self._scales(learning_rates), draws, masks
        blocks = count // BLOCK * BLOCK if self._in_blocks else 0
        losses: list[Array] = []
        for first in range(0, blocks, BLOCK):
            part = jax.tree.map(lambda array: array[first : first + BLOCK], steps)  # noqa: B023 - called at once
            self._state, some = self._block(self._state, self._data, part)
            losses.append(some)
        for k in range(blocks, count):
            batch, *rest = jax.tree.map(lambda array: array[k], steps)  # noqa: B023 - called at once
            data = (self._data, batch) if self._on_device else tuple(array[batch] for array in self._data)
            self._state, loss = self._step(self._state, *data, *rest)
            losses.append(loss)
        self._steps, self._draws = self._steps + count, self._draws + count
        return np.concatenate([np.ravel(np.asarray(loss, np.float64)) for loss in losses])

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float[n, classes] of images float[n, C, H, W] in evaluation mode, in parts of bounded size."""
        parts = [images[start : start + _PREDICT_BATCH] for start in range(0, len(images), _PREDICT_BATCH)]
        logits = [np.array(self._logits(self._state, self._native_images(part))) for part in parts]
        return np.concatenate(logits or [np.empty((0, self._spec.architecture.classes), self._spec.dtype)])

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """The loss and gradients by name, for images float[n, C, H, W], labels int64[n], masks bool[n, *shape]."""
        batch = self._native_images(images), np.array(labels, np.int32), np.uint32(self._draws)
        masks = native_masks(self._nodes, dropout_masks, (len(images),))
        (loss, buffers), (gradients, on_images) = self._gradients(
            self._state.parameters, batch[0], self._state.buffers, *batch[1:], masks
        )
        self._state = State(self._state.parameters, buffers, self._state.slots)
        self._draws += 1
        on_images = np.array(np.asarray(on_images).transpose(0, 3, 1, 2), order="C")
        return float(loss), self._canonical(gradients) | {"input": on_images}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, float arrays by canonical name."""
        return self._canonical(self._state.parameters | self._state.buffers)

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters and buffers in. Raises KeyError or ValueError for a wrong name or shape."""
        trained, buffers, _ = self._shapes
        check_names(trained | buffers, parameters)
        placed = self._placed(parameters)
        own = [{name: placed[name] for name in shapes} for shapes in (trained, buffers)]
        self._state = State(own[0], own[1], self._state.slots)

    def optimizer_state(self) -> Arrays:
        """Copies of "step", int64 scalar, and of every "<parameter>.<slot>", shaped like the parameter."""
        return {"step": np.array(self._steps, np.int64), **self._canonical(self._state.slots)}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy step and slots in. Raises KeyError or ValueError for a wrong name or shape."""
        *_, slots = self._shapes
        check_names({"step": (), **slots}, state)
        placed = self._placed({name: state[name] for name in slots})
        self._state = State(self._state.parameters, self._state.buffers, placed)
        self._steps = int(state["step"])

    def save(self, directory: Path) -> list[Path]:
        """``model.npz`` and ``optimizer.npz``: JAX has no format of its own for arrays. Layouts are JAX's, HWIO."""
        directory.mkdir(parents=True, exist_ok=True)
        files = [directory / "model.npz", directory / "optimizer.npz"]
        np.savez(files[0], **(self._state.parameters | self._state.buffers))
        np.savez(files[1], step=self._steps, **self._state.slots)
        return files

    def export(self, directory: Path) -> None:
        """``model.jax``, StableHLO that holds the weights and takes float32[n, C, H, W]."""
        from backends.jax.export import write_exported

        write_exported(partial(self._evaluate, self._state), self._spec.architecture.input, directory)

    def synchronize(self) -> None:
        """Return once the state is there, and with it every step that led to it."""
        jax.block_until_ready(self._state)

    def peak_device_memory(self) -> int | None:
        """The peak of the GPU's allocator in bytes since the process began; None on a CPU."""
        return None if self._device.platform == "cpu" else int(self._device.memory_stats()["peak_bytes_in_use"])

    def tuning(self) -> tuple[str, ...]:
        """What was done beyond the defaults, a phrase each."""
        done = {
            "training data placed on the device once": self._on_device,
            "state donated, so that it is updated in place": self._donates,
            f"{BLOCK} steps in one lax.scan": self._in_blocks,
        }
        return tuple(name for name, applies in done.items() if applies)

    def _steps_of_data(self, state: State, data: Any, steps: Any) -> tuple[State, Array]:
        """The losses of as many steps as the arrays of ``steps`` are long."""
        return lax.scan(lambda state, step: self._step_of_data(state, data, *step), state, steps)

    def _step_of_data(self, state: State, data: Any, batch: Array, *rest: Any) -> tuple[State, Array]:
        images, labels = data
        return self._step_of_batch(state, images[batch], labels[batch], *rest)

    def _step_of_batch(
        self, state: State, images: Array, labels: Array, scale: Array, draw: Array, masks: Any
    ) -> tuple[State, Array]:
        """The state after a step, and the loss before it."""
        (loss, buffers), gradients = jax.value_and_grad(self._loss, has_aux=True)(
            state.parameters, images, state.buffers, labels, draw, masks
        )
        rule = self._spec.optimizer
        parameters: dict[str, Array] = {}
        slots: dict[str, Array] = {}
        for name, gradient in clipped(gradients, rule.clip_norm).items():
            own = {slot: state.slots[f"{name}.{slot}"] for slot in rule.slots}
            decay = rule.weight_decay_of(name)
            parameters[name], moved = updated(rule, decay, state.parameters[name], gradient, own, scale)
            slots |= {f"{name}.{slot}": value for slot, value in moved.items()}
        return State(parameters, buffers, slots), loss

    def _loss(
        self, parameters: Any, images: Array, buffers: Any, labels: Array, draw: Array, masks: Any
    ) -> tuple[Array, dict[str, Array]]:
        """The mean loss of a batch in training, and the buffers as it moves them."""
        logits, moved = self._forward(
            parameters | buffers,
            images.astype(self._computed_in),
            training=True,
            dropout_masks=masks,
            key=jax.random.fold_in(self._key, draw),
        )
        return cross_entropy(logits.astype(images.dtype), labels, self._spec.label_smoothing), moved

    def _evaluate(self, state: State, images: Array) -> Array:
        values = state.parameters | state.buffers
        logits, _ = self._forward(values, images.astype(self._computed_in), training=False)
        return logits.astype(self._spec.dtype)

    def _scales(self, learning_rates: NDArray[np.float64]) -> NDArray[Any]:
        return scales(self._spec.optimizer, learning_rates, self._steps + 1).astype(self._spec.dtype)

    def _native_images(self, images: NDArray[Any]) -> NDArray[Any]:
        """A copy of float[n, C, H, W] as float[n, H, W, C]: JAX may use NumPy's memory as its own."""
        return np.array(images.transpose(0, 2, 3, 1), self._spec.dtype, order="C")

    def _placed(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
        """Canonical arrays on the device, in JAX's layout and the session's dtype."""
        own = {name: native(*self._part(name), np.asarray(array, self._spec.dtype)) for name, array in arrays.items()}
        placed: dict[str, Array] = jax.device_put(own, self._device)
        return placed

    def _canonical(self, values: Mapping[str, Array]) -> Arrays:
        return {name: canonical(*self._part(name), value) for name, value in values.items()}

    def _part(self, name: str) -> tuple[Node, str]:
        """The node of a parameter, buffer or slot, and which of its parts that is."""
        node, part, *_ = name.split(".")
        return self._named[node], part
