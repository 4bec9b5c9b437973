"""Mistakes in MindSpore's adapter."""

from __future__ import annotations

from functools import partial

from tests.conformance.mistakes.patch import Mistake

_Mistake = partial(Mistake, backend="mindspore")

IN_MINDSPORE = (
    _Mistake(
        name="arrays handed out as views",
        file="session.py",
        right="tensor.asnumpy().copy()",
        wrong="tensor.asnumpy()",
        level="loop",
    ),
    _Mistake(
        name="parameters read once",
        file="session.py",
        right="        return {name: _array(array) for name, array in self._arrays.items()}\n",
        wrong="""        if not hasattr(self, "_read"):
            self._read = {name: _array(array) for name, array in self._arrays.items()}
        return self._read
""",
        level="loop",
    ),
    _Mistake(
        name="evaluation by the weights of its first call",
        file="session.py",
        right="        self._set_mode(training=False)\n",
        wrong="""        self._set_mode(training=False)
        now = self.parameters()
        self._evaluated = self.__dict__.get("_evaluated", now)
        self.load_parameters(self._evaluated)
""",
        level="loop",
        more=(("        return logits\n", "        self.load_parameters(now)\n        return logits\n"),),
    ),
    _Mistake(
        name="one array for all logits",
        file="session.py",
        right="        logits = np.empty((len(images), self._spec.architecture.classes), self._spec.dtype)\n",
        wrong="""        shape = len(images), self._spec.architecture.classes
        logits = self.__dict__.setdefault("_kept", {}).setdefault(shape, np.empty(shape, self._spec.dtype))
""",
        level="loop",
    ),
    _Mistake(
        name="no return to training after evaluation",
        file="session.py",
        right="        self._set_mode(training=True)\n        losses = []\n",
        wrong="        self._set_mode()\n        losses = []\n",
        level="loop",
    ),
    _Mistake(
        name="images of later epochs ignored",
        file="session.py",
        right="        self._images, self._labels = self._tensor(images), self._one_hot(labels)\n",
        wrong="""        if self._images is None:
            self._images, self._labels = self._tensor(images), self._one_hot(labels)
""",
        level="loop",
    ),
    _Mistake(
        name="the first batch's size in every mean",
        file="training.py",
        right="        return self.mean(losses)\n",
        wrong="        return losses.sum() / 16.0\n",
        level="loop",
    ),
    _Mistake(
        name="scalars of the step before where the rate is the same",
        file="session.py",
        right="        if values != self._last_scalars[0]:\n",
        wrong="""        last, self._last_rate = self.__dict__.get("_last_rate"), rate
        if rate != last:
""",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="dropout by eight random bits",
        file="network.py",
        right="keep_prob=1.0 - p,",
        wrong="keep_prob=max(round((1.0 - p) * 256), 1) / 256,",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="equal seeds of two dropout layers",
        file="network.py",
        right="Seed1=ordinal",
        wrong="Seed1=1",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="masks repeated from the ninth sample",
        file="network.py",
        right="        return self.dropout(x)[0] if self.training else x\n",
        wrong="""        if not self.training:
            return x
        first = self.dropout(ops.ones_like(x[:8]))[0]
        return x * ops.cat((first, first), axis=0)[: x.shape[0]]
""",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="equal masks in the steps of one graph",
        file="expert/session.py",
        right="self._may_group = not self._dropouts and",
        wrong="self._may_group =",
        level="trajectories",
        check="native dropout",
        manner="expert",
    ),
    _Mistake(
        name="indices as uint16",
        file="session.py",
        right="batch_indices.astype(np.int32)",
        wrong="batch_indices.astype(np.uint16).astype(np.int32)",
        level="contract",
        check="many samples",
    ),
    _Mistake(
        name="step count not loaded",
        file="session.py",
        right='        self._step = int(state["step"])\n',
        wrong="",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="slots not loaded",
        file="session.py",
        right="            array.set_data(self._tensor(state[name]))\n",
        wrong="            pass\n",
        level="optimizers",
        check="adagrad probe",
    ),
    _Mistake(
        name="Nesterov by the kernel that ignores it",
        file="optimizers.py",
        right="rule = _Nesterov if optimizer.nesterov else",
        wrong="rule =",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="Adam's epsilon before its bias correction",
        file="optimizers.py",
        right="self.optimizer.epsilon * root2\n",
        wrong="self.optimizer.epsilon\n",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="AdamW's decay not by the rate",
        file="optimizers.py",
        right="1 - rate * self.optimizer.weight_decay",
        wrong="1 - self.optimizer.learning_rate * self.optimizer.weight_decay",
        level="optimizers",
        check="adamw probe",
    ),
    _Mistake(
        name="decay of weights alone that takes biases too",
        file="optimizers.py",
        right="tuple(optimizer.weight_decay_of(name) > 0 for name in names)",
        wrong="tuple(optimizer.weight_decay > 0 for name in names)",
        level="optimizers",
        check="rmsprop probe",
    ),
    _Mistake(
        name="every gradient clipped by the first one's norm",
        file="optimizers.py",
        right="            total = total + ops.ReduceSum()(ops.square(gradient))\n",
        wrong="            total = total + 0.0\n",
        level="optimizers",
        check="adagrad probe",
    ),
    _Mistake(
        name="Adagrad's epsilon inside the root",
        file="optimizers.py",
        right="gradient / (ops.sqrt(total) + self.epsilon)",
        wrong="gradient / ops.sqrt(total + self.epsilon)",
        level="optimizers",
        check="adagrad probe",
    ),
    _Mistake(
        name="smoothing ignored",
        file="session.py",
        right="classes, smoothing = self._spec.architecture.classes, self._spec.label_smoothing",
        wrong="classes, smoothing = self._spec.architecture.classes, 0.0",
        level="networks",
        check="corners",
    ),
    _Mistake(
        name="eight steps at the rate of the first",
        file="expert/session.py",
        right="for rate in learning_rates[steps] for",
        wrong="for rate in [learning_rates[first]] * _STEPS for",
        level="optimizers",
        check="sgd 50 steps",
        manner="expert",
    ),
    _Mistake(
        name="grouped steps on the indices of the first",
        file="expert/cells.py",
        right="inputs[k], *scalars",
        wrong="inputs[0], *scalars",
        level="optimizers",
        check="sgd 50 steps",
        manner="expert",
    ),
    _Mistake(
        name="parameters loaded without a look at their names",
        file="session.py",
        right="check_names(self._shapes, parameters)",
        wrong="pass",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="padding whose gradient is wrong from the second call on",
        file="network.py",
        right="        self.pad = nn.Pad(((0, 0), (0, 0), *around))\n",
        wrong="""        (top, bottom), (left, right) = around
        self.pad = nn.ConstantPad2d((left, right, top, bottom), 0.0)
""",
        level="layers",
    ),
)
