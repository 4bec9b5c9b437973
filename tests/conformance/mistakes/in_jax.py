"""Mistakes in JAX's adapter."""

from __future__ import annotations

from functools import partial

from tests.conformance.mistakes.patch import Mistake

_Mistake = partial(Mistake, backend="jax")

IN_JAX = (
    _Mistake(
        name="parameters read once",
        file="session.py",
        right="        return self._canonical(self._state.parameters | self._state.buffers)\n",
        wrong="""        if not hasattr(self, "_read"):
            self._read = self._canonical(self._state.parameters | self._state.buffers)
        return self._read
""",
        level="loop",
    ),
    _Mistake(
        name="the caller's arrays kept as parameters",
        file="network.py",
        right='    return np.array(array, order="C")\n',
        wrong="    return np.ascontiguousarray(array)\n",
        level="contract",
    ),
    _Mistake(
        name="evaluation by the weights of its first call",
        file="session.py",
        right="np.array(self._logits(self._state, ",
        wrong='np.array(self._logits(self.__dict__.setdefault("_first", jax.tree.map(jnp.copy, self._state)), ',
        level="loop",
    ),
    _Mistake(
        name="one array for all logits",
        file="session.py",
        right="        return np.concatenate(logits or [",
        wrong="""        shape = len(images), self._spec.architecture.classes
        kept = self.__dict__.setdefault("_kept", {}).setdefault(shape, np.empty(shape, self._spec.dtype))
        return np.concatenate(logits, out=kept) if logits else np.concatenate([""",
        level="loop",
    ),
    _Mistake(
        name="running statistics that no step moves",
        file="session.py",
        right="return State(parameters, buffers, slots), loss",
        wrong="return State(parameters, state.buffers, slots), loss",
        level="loop",
    ),
    _Mistake(
        name="images of later epochs ignored",
        file="session.py",
        right="        self._data = jax.device_put(data, self._device) if self._on_device else data\n",
        wrong="""        if not hasattr(self, "_data"):
            self._data = jax.device_put(data, self._device) if self._on_device else data
""",
        level="loop",
    ),
    _Mistake(
        name="data as a constant of the first compilation",
        file="session.py",
        right="        images, labels = data\n",
        wrong='        images, labels = self.__dict__.setdefault("_first", self._data)\n',
        level="loop",
    ),
    _Mistake(
        name="the first batch's size in every mean",
        file="network.py",
        right="        return -at_label.mean()\n",
        wrong="        return -at_label.sum() / 16\n",
        level="loop",
    ),
    _Mistake(
        name="dropout by eight random bits",
        file="network.py",
        right="jax.random.bernoulli(jax.random.fold_in(key, position), 1 - p,",
        wrong="jax.random.bernoulli(jax.random.fold_in(key, position), max(round((1 - p) * 256), 1) / 256,",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="generator seeded anew in every call of steps",
        file="session.py",
        right="np.arange(self._draws, self._draws + count, dtype=np.uint32)",
        wrong="np.arange(count, dtype=np.uint32)",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="generator seeded anew in every call for gradients",
        file="session.py",
        right="        self._draws += 1\n",
        wrong="",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="equal masks of two dropout layers",
        file="network.py",
        right="jax.random.fold_in(key, position)",
        wrong="key",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="masks repeated from the ninth sample",
        file="network.py",
        right="1 - p, inputs[0].shape)",
        wrong="1 - p, (8, *inputs[0].shape[1:]))[np.arange(len(inputs[0])) % 8]",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="one mask for all steps of a block",
        file="session.py",
        right="key=jax.random.fold_in(self._key, draw)",
        wrong="key=self._key",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="indices as uint16",
        file="session.py",
        right="steps = batch_indices.astype(np.int32),",
        wrong="steps = batch_indices.astype(np.uint16),",
        level="contract",
        check="many samples",
    ),
    _Mistake(
        name="bfloat16 computed in float32",
        file="session.py",
        right='jnp.bfloat16 if spec.precision == "bfloat16" else spec.dtype',
        wrong="spec.dtype",
        level="contract",
        check="bfloat16",
    ),
    _Mistake(
        name="step count not loaded",
        file="session.py",
        right='        self._steps = int(state["step"])\n',
        wrong="",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="corrections of the step before",
        file="session.py",
        right="self._steps + 1)",
        wrong="max(self._steps, 1))",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="steps not counted",
        file="session.py",
        right="self._steps + count, self._draws + count",
        wrong="self._steps, self._draws + count",
        level="loop",
    ),
    _Mistake(
        name="Nesterov ignored",
        file="optimizers.py",
        right="g + optimizer.momentum * v if optimizer.nesterov else v",
        wrong="v",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="weight decay coupled in AdamW",
        file="optimizers.py",
        right="        w = w - rate * weight_decay * w\n",
        wrong="        g = g + weight_decay * w\n",
        level="optimizers",
        check="adamw probe",
    ),
    _Mistake(
        name="decay of weights alone that takes biases too",
        file="session.py",
        right="rule.weight_decay_of(name)",
        wrong="rule.weight_decay",
        level="optimizers",
        check="rmsprop probe",
    ),
    _Mistake(
        name="every gradient clipped by its own norm",
        file="optimizers.py",
        right="gradient * (most / jnp.maximum(norm, most))",
        wrong="gradient * (most / jnp.maximum(jnp.sqrt(jnp.vdot(gradient, gradient)), most))",
        level="optimizers",
        check="adagrad probe",
    ),
    _Mistake(
        name="RMSprop's epsilon inside the root",
        file="optimizers.py",
        right='return g / (jnp.sqrt(a) + optimizer.epsilon), {"square_average": a}',
        wrong='return g / jnp.sqrt(a + optimizer.epsilon), {"square_average": a}',
        level="optimizers",
        check="rmsprop probe",
    ),
    _Mistake(
        name="Adadelta accumulating gradients",
        file="optimizers.py",
        right="_average(u, jnp.square(d), optimizer.rho)",
        wrong="_average(u, jnp.square(g), optimizer.rho)",
        level="optimizers",
        check="adadelta probe",
    ),
    _Mistake(
        name="smoothing ignored",
        file="network.py",
        right="    if not smoothing:\n",
        wrong="    if True:\n",
        level="networks",
        check="corners",
    ),
    _Mistake(
        name="running variance of the biased kind",
        file="network.py",
        right="variance * (count / (count - 1))",
        wrong="variance",
        level="layers",
        check="norms side by side",
    ),
    _Mistake(
        name="the last of equal maxima",
        file="expert/session.py",
        right="(largest >= cell)",
        wrong="(largest > cell)",
        level="layers",
        check="poolings side by side",
        manner="expert",
    ),
)
