"""Mistakes in Paddle's adapter."""

from __future__ import annotations

from functools import partial

from tests.conformance.mistakes.patch import Mistake

_Mistake = partial(Mistake, backend="paddle")

IN_PADDLE = (
    _Mistake(
        name="parameters handed out as views",
        file="session.py",
        right="{name: entry.canonical(entry.tensor.numpy()) for name, entry in self._entries.items()}",
        wrong="{n: np.asarray(e.tensor.get_tensor()).reshape(e.shape) for n, e in self._entries.items()}",
        level="loop",
    ),
    _Mistake(
        name="parameters of the graph handed out as views",
        file="session.py",
        right="{name: entry.canonical(entry.tensor.numpy()) for name, entry in self._entries.items()}",
        wrong="{n: np.asarray(e.tensor.get_tensor()).reshape(e.shape) for n, e in self._entries.items()}",
        level="loop",
        manner="expert",
    ),
    _Mistake(
        name="evaluation by the weights of its first call",
        file="session.py",
        right="            logits = self._network(self._tensor(images))\n",
        wrong="""            now = self.parameters()
            self._evaluated = self.__dict__.get("_evaluated", now)
            self.load_parameters(self._evaluated)
            logits = self._network(self._tensor(images))
            self.load_parameters(now)
""",
        level="loop",
    ),
    _Mistake(
        name="one array for all logits",
        file="expert/session.py",
        right='        return self._get("logits")\n',
        wrong="""        new = self._get("logits")
        kept = self.__dict__.setdefault("_kept", {}).setdefault(new.shape, np.empty_like(new))
        kept[...] = new
        return kept
""",
        level="loop",
        manner="expert",
    ),
    _Mistake(
        name="no return to training after evaluation",
        file="session.py",
        right="        self._network.train()\n        logits_of_steps,",
        wrong="        logits_of_steps,",
        level="loop",
    ),
    _Mistake(
        name="images of later epochs ignored",
        file="expert/session.py",
        right='        self._set("images", _last(images))\n',
        wrong='        if self._scope.find_var("images") is None:\n            self._set("images", _last(images))\n',
        level="loop",
        manner="expert",
    ),
    _Mistake(
        name="the first batch's size in every mean",
        file="expert/session.py",
        right="np.full((batch, 1), 1 / batch)",
        wrong='np.full((batch, 1), 1 / self.__dict__.setdefault("_first", batch))',
        level="loop",
        manner="expert",
    ),
    _Mistake(
        name="labels of the first data in the losses",
        file="expert/session.py",
        right="        self._training_labels = labels.copy()\n",
        wrong='        self._training_labels = self.__dict__.get("_training_labels", labels.copy())\n',
        level="contract",
        manner="expert",
    ),
    _Mistake(
        name="dropout by eight random bits",
        file="layers.py",
        right="nn.Dropout(layer.p,",
        wrong="nn.Dropout(min(round(layer.p * 256), 255) / 256,",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="generator seeded anew in every call of steps",
        file="session.py",
        right="        logits_of_steps, labels_of_steps = [], []\n",
        wrong="        paddle.seed(self._spec.seed)\n        logits_of_steps, labels_of_steps = [], []\n",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="one seed for all dropout layers and steps",
        file="expert/session.py",
        right="                program = paddle.static.Program()\n",
        wrong="                program = paddle.static.Program()\n                program.random_seed = 7\n",
        level="trajectories",
        check="native dropout",
        manner="expert",
    ),
    _Mistake(
        name="masks repeated from the ninth sample",
        file="network.py",
        right="                values[node.name] = getattr(self, node.name)(*inputs)\n",
        wrong="""                values[node.name] = getattr(self, node.name)(*inputs)
                if self.training and isinstance(node.layer, Dropout):
                    first = getattr(self, node.name)(paddle.ones_like(inputs[0][:8]))
                    repeated = paddle.concat([first] * (1 + len(inputs[0]) // 8))[: len(inputs[0])]
                    values[node.name] = inputs[0] * repeated
""",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="indices as uint16",
        file="session.py",
        right="paddle.to_tensor(batch, place",
        wrong="paddle.to_tensor(batch.astype(np.uint16).astype(np.int64), place",
        level="contract",
        check="many samples",
    ),
    _Mistake(
        name="powers of beta not loaded",
        file="optimizers.py",
        right='        self.step = int(state["step"])\n        self._write_powers()\n',
        wrong="""        self.step = int(state["step"])
        if not hasattr(self, "_once"):
            self._once = self._write_powers()
""",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="Nesterov ignored",
        file="optimizers.py",
        right="            nesterov = spec.nesterov\n",
        wrong="            nesterov = False\n",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="Adam for AdamW",
        file="optimizers.py",
        right="paddle.optimizer.AdamW(*betas, apply_decay_param_fun=lambda name: decays[name] > 0, **common)",
        wrong="paddle.optimizer.Adam(*betas, **common)",
        level="optimizers",
        check="adamw probe",
    ),
    _Mistake(
        name="decay of weights alone that takes biases too",
        file="optimizers.py",
        right="    if spec.weight_decay and not decays[parameter.name]:\n",
        wrong="    if False:\n",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="gradients not clipped",
        file="optimizers.py",
        right="if spec.clip_norm else None  # Paddle clips",
        wrong="if False else None  # Paddle clips",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="clipped by the norm of one gradient",
        file="expert/clipping.py",
        right='[_of_one("sum", {"X": squares})]',
        wrong="squares[:1]",
        level="optimizers",
        check="adagrad probe",
        manner="expert",
    ),
    _Mistake(
        name="every step at the rate of the first",
        file="expert/session.py",
        right='"Index": [step]}',
        wrong='"Index": [given("first", [], "int64")]}',
        level="optimizers",
        check="sgd probe",
        manner="expert",
        more=(
            (
                '        self._set("step", np',
                '        self._set("first", np.zeros((), np.int64))\n        self._set("step", np',
            ),
        ),
    ),
    _Mistake(
        name="running variance of the biased kind",
        file="norms.py",
        right="batch[1] * (count / (count - 1))",
        wrong="batch[1]",
        level="layers",
        check="norms side by side",
    ),
    _Mistake(
        name="mean for sum in the gradient of a convolution's bias",
        file="expert/passes.py",
        right='insert_after(gradient, "reduce_sum"',
        wrong='insert_after(gradient, "reduce_mean"',
        level="layers",
        check="convolutions side by side",
        manner="expert",
    ),
    _Mistake(
        name="smoothing ignored in the losses",
        file="session.py",
        right="        if smoothing:\n            chosen",
        wrong="        if False:\n            chosen",
        level="networks",
        check="corners",
    ),
    _Mistake(
        name="smoothing ignored in the gradients",
        file="session.py",
        right="label_smoothing=smoothing",
        wrong="label_smoothing=0.0",
        level="networks",
        check="corners",
    ),
    _Mistake(
        name="a recurrent layer's second bias trained too",
        file="recurrent.py",
        right="bias.register_hook(lambda gradient: gradient * factors)",
        wrong="bias.register_hook(lambda gradient: gradient)",
        level="optimizers",
        check="adam probe, recurrent layers",
    ),
    _Mistake(
        name="steps not counted",
        file="expert/session.py",
        right="        self._state.step += steps\n",
        wrong="",
        level="optimizers",
        check="adam probe",
        manner="expert",
    ),
    _Mistake(
        name="Adam's powers not taken back to the first step",
        file="optimizers.py",
        right="""        self.step = int(state["step"])
        self._write_powers()
""",
        wrong="""        self.step = int(state["step"])
        if self.step or not hasattr(self, "_made"):
            self._made = True
            self._write_powers()
""",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="biases never decayed",
        file="optimizers.py",
        right="    if spec.weight_decay and not decays[parameter.name]:\n",
        wrong="    if spec.weight_decay and (not decays[parameter.name] or parameter.ndim == 1):\n",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="seed 0 not set",
        file="session.py",
        right="        paddle.seed(spec.seed)  #",
        wrong="""        if spec.seed:
            paddle.seed(spec.seed)  #""",
        level="runs",
        check="repeated",
    ),
    _Mistake(
        name="parameters loaded without a look at their names",
        file="session.py",
        right="check_names({name: entry.shape for name, entry in self._entries.items()}, parameters)",
        wrong="pass",
        level="contract",
        check="fixed orders",
    ),
)
