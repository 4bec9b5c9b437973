"""Mistakes in Keras's adapter."""

from __future__ import annotations

from functools import partial

from tests.conformance.mistakes.patch import Mistake

_Mistake = partial(Mistake, backend="keras")

IN_KERAS = (
    _Mistake(
        name="parameters read once",
        file="session.py",
        right="        return {name: weight.canonical(weight.variable) for",
        wrong="""        if hasattr(self, "_read"):
            return self._read
        self._read = {name: weight.canonical(weight.variable) for""",
        more=(("self._network.weights.items()}\n", "self._network.weights.items()}\n        return self._read\n"),),
        level="loop",
    ),
    _Mistake(
        name="evaluation by the weights of its first call",
        file="session.py",
        right="        logits = [self._run(self._predict,",
        wrong="""        self._evaluated = self.__dict__.get("_evaluated", self.parameters())
        now = self.parameters()
        self.load_parameters(self._evaluated)
        logits = [self._run(self._predict,""",
        level="loop",
        more=(
            (
                "        return np.concatenate(logits or",
                "        self.load_parameters(now)\n        return np.concatenate(logits or",
            ),
        ),
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
        name="images of later epochs ignored",
        file="session.py",
        right="        self._images, self._labels = self._native_images(images), np.array(labels, np.int64)\n",
        wrong="""        if hasattr(self, "_images"):
            return
        self._images, self._labels = self._native_images(images), np.array(labels, np.int64)
""",
        level="loop",
    ),
    _Mistake(
        name="images of later epochs ignored, from the host",
        file="session.py",
        right="        self._images, self._labels = self._native_images(images), np.array(labels, np.int64)\n",
        wrong="""        if hasattr(self, "_images"):
            return
        self._images, self._labels = self._native_images(images), np.array(labels, np.int64)
""",
        level="loop",
        manner="default",
    ),
    _Mistake(
        name="the first batch's size in every mean",
        file="session.py",
        right="            return self._sparse_cross_entropy(labels, logits)",
        wrong="""            size = self.__dict__.setdefault("_size", logits.shape[0])
            return self._sparse_cross_entropy(labels, logits) * (logits.shape[0] / size)""",
        level="loop",
    ),
    _Mistake(
        name="dropout by eight random bits",
        file="layers.py",
        right="keras.layers.Dropout(layer.p,",
        wrong="keras.layers.Dropout(min(round(layer.p * 256), 255) / 256,",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="generator seeded anew in every call of steps",
        file="session.py",
        right="        rates = np.asarray(learning_rates, self._spec.dtype)\n",
        wrong="""        rates = np.asarray(learning_rates, self._spec.dtype)
        for layer in self._network.model.layers:
            if hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign([self._spec.seed, 0])
""",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="equal seeds of two dropout layers",
        file="network.py",
        right="seed=seed + i,",
        wrong="seed=seed,",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="masks repeated from the ninth sample",
        file="network.py",
        right="                    x = last(x, training=True)\n",
        wrong="""                    first = last(ops.ones_like(x[:8]), training=True)
                    x = x * ops.take(first, ops.arange(x.shape[0]) % 8, axis=0)
""",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="indices as uint16",
        file="session.py",
        right="np.asarray(batch_indices, np.int64), rates, masks",
        wrong="np.asarray(np.asarray(batch_indices, np.uint16), np.int64), rates, masks",
        level="contract",
        check="many samples",
    ),
    _Mistake(
        name="bfloat16 computed in float32",
        file="network.py",
        right='"bfloat16": "mixed_bfloat16"',
        wrong='"bfloat16": "float32"',
        level="contract",
        check="bfloat16",
    ),
    _Mistake(
        name="the order of flatten absorbed across a dropout",
        file="network.py",
        right="isinstance(node.layer, _ORDER_FREE)",
        wrong="isinstance(node.layer, _ORDER_FREE | L.Dropout)",
        level="contract",
        check="images",
    ),
    _Mistake(
        name="step count not loaded",
        file="session.py",
        right='        self._optimizer.iterations.assign(int(state["step"]))\n',
        wrong="",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="the rate of a call's first step in all its steps",
        file="session.py",
        right="self._train_step(*batch, rates[k], masks)",
        wrong="self._train_step(*batch, rates[0], masks)",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="momentum with the rate in its velocity",
        file="optimizers.py",
        right="        velocity = momentum * slot + gradient\n",
        wrong="        velocity = momentum * slot + learning_rate * gradient\n        learning_rate = 1.0\n",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="Adam's epsilon before its bias correction",
        file="optimizers.py",
        right="self.rule.epsilon * root",
        wrong="self.rule.epsilon",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="RMSprop's epsilon inside the root",
        file="optimizers.py",
        right="gradient / (ops.sqrt(average) + self.rule.epsilon)",
        wrong="gradient / ops.sqrt(average + self.rule.epsilon)",
        level="optimizers",
        check="rmsprop probe",
    ),
    _Mistake(
        name="decay also of what has none",
        file="optimizers.py",
        right="gradient + decay * variable if decay else gradient",
        wrong="gradient + max(decays) * variable",
        level="optimizers",
        check="adagrad probe",
    ),
    _Mistake(
        name="decay before the gradients are clipped",
        file="session.py",
        right="            gradients, _ = tf.clip_by_global_norm(gradients, rule.clip_norm)\n",
        wrong="""            gradients = add_weight_decay(rule, gradients, self._variables, self._decays)
            gradients, _ = tf.clip_by_global_norm(gradients, rule.clip_norm)
        if rule.clip_norm:
            self._optimizer.apply(gradients, self._variables)
            return loss
""",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="Nesterov ignored by the kernel",
        file="expert/optimizers.py",
        right="use_nesterov=self.rule.nesterov",
        wrong="use_nesterov=False",
        level="optimizers",
        check="sgd probe",
        manner="expert",
    ),
    _Mistake(
        name="Adadelta's slots exchanged",
        file="expert/optimizers.py",
        right="square_average, accumulated_update = self.slots_of(variable)",
        wrong="accumulated_update, square_average = self.slots_of(variable)",
        level="optimizers",
        check="adadelta probe",
        manner="expert",
    ),
    _Mistake(
        name="running variance of the biased kind",
        file="network.py",
        right="        running.assign(running + (running - kept) / more)\n",
        wrong="",
        level="layers",
        check="norms side by side",
    ),
    _Mistake(
        name="running mean that never moves",
        file="expert/network.py",
        right="for running, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):",
        wrong="for running, batch in ((layer.moving_variance, variance),):",
        level="layers",
        check="norms side by side",
        manner="expert",
    ),
    _Mistake(
        name="smoothing ignored",
        file="session.py",
        right="        if not self._spec.label_smoothing:\n",
        wrong="        if True:\n",
        level="networks",
        check="corners",
    ),
)
