"""Mistakes in PyTorch's adapter."""

from __future__ import annotations

from functools import partial

from tests.conformance.mistakes.patch import Mistake

_Mistake = partial(Mistake, backend="torch")

IN_TORCH = (
    _Mistake(
        name="parameters handed out as views",
        file="session.py",
        right="{name: array(tensor) for name, tensor in self._tensors.items()}",
        wrong="{name: tensor.detach().numpy() for name, tensor in self._tensors.items()}",
        level="loop",
    ),
    _Mistake(
        name="optimizer state handed out as views",
        file="session.py",
        right="{name: array(slot) for name, slot in self._slots().items()}",
        wrong="{name: slot.numpy() for name, slot in self._slots().items()}",
        level="loop",
    ),
    _Mistake(
        name="evaluation by the weights of its first call",
        file="session.py",
        right="            logits = self._network(self._batch(images))\n",
        wrong="""            if not hasattr(self, "_evaluated"):
                self._evaluated = __import__("copy").deepcopy(self._network)
            logits = self._evaluated(self._batch(images))
""",
        level="loop",
    ),
    _Mistake(
        name="one array for all logits",
        file="session.py",
        right="        return array(logits.to(self._dtype))\n",
        wrong="""        shape = tuple(logits.shape)
        kept = self.__dict__.setdefault("_kept", {}).setdefault(shape, np.empty(shape, self._spec.dtype))
        kept[...] = array(logits.to(self._dtype))
        return kept
""",
        level="loop",
    ),
    _Mistake(
        name="no return to training after evaluation",
        file="session.py",
        right="        self._network.train()\n        batches =",
        wrong="        batches =",
        level="loop",
    ),
    _Mistake(
        name="images of later epochs ignored",
        file="session.py",
        right="        self._images = self._tensor(images, self._dtype)\n",
        wrong="        self._images = self._images if len(self._images) else self._tensor(images, self._dtype)\n",
        level="loop",
    ),
    _Mistake(
        name="the first batch's size in every mean",
        file="expert/passes.py",
        right="        gradient = _log_softmax_backward(",
        wrong="""        gradient *= len(labels) / self.__dict__.setdefault("_first", len(labels))
        gradient = _log_softmax_backward(""",
        level="loop",
        manner="expert",
    ),
    _Mistake(
        name="dropout by eight random bits",
        file="expert/passes.py",
        right="(self.keep * 2 ** torch.iinfo(dtype).bits).is_integer()",
        wrong="self.keep",
        level="trajectories",
        check="native dropout",
        manner="expert",
    ),
    _Mistake(
        name="generator seeded anew in every call for gradients",
        file="session.py",
        right="        batch = self._batch(images).requires_grad_()\n",
        wrong="        torch.manual_seed(self._spec.seed)\n        batch = self._batch(images).requires_grad_()\n",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="generator seeded anew in every call of steps",
        file="session.py",
        right="        batches = self._tensor(batch_indices,",
        wrong="        torch.manual_seed(self._spec.seed)\n        batches = self._tensor(batch_indices,",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="equal seeds of two dropout layers",
        file="expert/passes.py",
        right=".random_(-(2**63), None)",
        wrong='.random_(-(2**63), None, generator=self.__dict__.setdefault("_own", torch.Generator().manual_seed(1)))',
        level="trajectories",
        check="native dropout",
        manner="expert",
    ),
    _Mistake(
        name="masks repeated from the ninth sample",
        file="expert/passes.py",
        right="draws[: x.numel()].view(x.shape)",
        wrong="draws[: x.numel()].view(x.shape)[torch.arange(len(x)) % 8]",
        level="trajectories",
        check="native dropout",
        manner="expert",
    ),
    _Mistake(
        name="indices as uint16",
        file="session.py",
        right="self._tensor(batch_indices, torch.int64)",
        wrong="self._tensor(batch_indices.astype(np.uint16), torch.int64)",
        level="contract",
        check="many samples",
    ),
    _Mistake(
        name="bfloat16 computed in float32",
        file="session.py",
        right='if self._spec.precision != "bfloat16":\n            return nullcontext()',
        wrong="if True:\n            return nullcontext()",
        level="contract",
        check="bfloat16",
    ),
    _Mistake(
        name="Adam's step count lost on loading",
        file="session.py",
        right='own["step"].fill_(self._steps)',
        wrong="pass",
        level="optimizers",
        check="adam probe",
    ),
    _Mistake(
        name="rate of the first group of parameters alone",
        file="optimizers.py",
        right="for group in optimizer.param_groups:\n        if",
        wrong="for group in optimizer.param_groups[:1]:\n        if",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="Nesterov ignored",
        file="optimizers.py",
        right="nesterov=spec.nesterov",
        wrong="nesterov=False",
        level="optimizers",
        check="sgd probe",
    ),
    _Mistake(
        name="gradients scaled up to the norm as well as down",
        file="optimizers.py",
        right=".clamp(max=1.0)",
        wrong="",
        level="optimizers",
        check="adagrad probe",
    ),
    _Mistake(
        name="decay of weights alone that takes biases too",
        file="optimizers.py",
        right="spec.weight_decay_of(name)",
        wrong="spec.weight_decay",
        level="optimizers",
        check="rmsprop probe",
    ),
    _Mistake(
        name="smoothing ignored",
        file="session.py",
        right="label_smoothing=self._spec.label_smoothing",
        wrong="label_smoothing=0.0",
        level="networks",
        check="corners",
    ),
    _Mistake(
        name="smoothing over classes alone",
        file="expert/passes.py",
        right="sub_(smoothing / log_probabilities.numel())",
        wrong="sub_(smoothing / log_probabilities.shape[1])",
        level="networks",
        check="corners",
        manner="expert",
    ),
    _Mistake(
        name="no sum of the gradients where a value has several takers",
        file="expert/passes.py",
        right="gradients[source] + of_source if source in gradients else of_source",
        wrong="of_source",
        level="layers",
        check="joins side by side",
        manner="expert",
    ),
    _Mistake(
        name="a gradient overwritten that another needs",
        file="expert/passes.py",
        right="if gradient.is_mkldnn or not self.may_overwrite:",
        wrong="if gradient.is_mkldnn:",
        level="networks",
        check="corners",
        manner="expert",
    ),
    _Mistake(
        name="gradients not clipped in the written pass",
        file="expert/session.py",
        right="if self._spec.optimizer.clip_norm:",
        wrong="if False:",
        level="optimizers",
        check="sgd probe",
        manner="expert",
    ),
    _Mistake(
        name="Adam's steps not counted in the direct update",
        file="expert/updates.py",
        right="                torch._foreach_add_(steps, 1)\n                kernel(",
        wrong="                kernel(",
        level="optimizers",
        check="adam probe",
        manner="expert",
    ),
    _Mistake(
        name="batch norm of one image without its remedy",
        file="network.py",
        right="            return BatchNorm2d(channels",
        wrong="            return nn.BatchNorm2d(channels",
        level="networks",
    ),
    _Mistake(
        name="Adam's count of steps not taken back to 0",
        file="session.py",
        right="""            if "step" in own:
""",
        wrong="""            if "step" in own and self._steps:
""",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="momentum lost where parameters are loaded",
        file="session.py",
        right="        self._overwrite(self._tensors, parameters)\n",
        wrong="""        self._overwrite(self._tensors, parameters)
        with torch.no_grad():
            for slot in self._slots().values():
                slot.zero_()
""",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="evaluation by the weights of the last step",
        file="session.py",
        right="            logits = self._network(self._batch(images))\n",
        wrong="""            if self.__dict__.get("_evaluated_at") != self._steps:
                self._evaluated_at, self._evaluated = self._steps, __import__("copy").deepcopy(self._network)
            logits = self._evaluated(self._batch(images))
""",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="generator seeded anew by evaluation",
        file="session.py",
        right="""        self._network.eval()
        with""",
        wrong="""        self._network.eval()
        torch.manual_seed(self._spec.seed)
        with""",
        level="trajectories",
        check="native dropout",
    ),
    _Mistake(
        name="weights cast once for all steps of a call",
        file="session.py",
        right="""        for k, rate in enumerate(learning_rates.tolist()):
            set_rate(self._optimizer, rate)
            losses.append(self._step(batches[k], {name: mask[k] for name, mask in masks.items()}))
""",
        wrong="""        with self._autocast():
            for k, rate in enumerate(learning_rates.tolist()):
                set_rate(self._optimizer, rate)
                losses.append(self._step(batches[k], {name: mask[k] for name, mask in masks.items()}))
""",
        level="contract",
        check="bfloat16",
    ),
    _Mistake(
        name="weights rounded to bfloat16",
        file="session.py",
        right="        self._optimizer.step()\n",
        wrong="""        self._optimizer.step()
        if self._spec.precision == "bfloat16":
            with torch.no_grad():
                for parameter in self._parameters.values():
                    parameter.copy_(parameter.bfloat16())
""",
        level="contract",
        check="bfloat16",
    ),
    _Mistake(
        name="gradients handed out clipped",
        file="session.py",
        right="""        loss.backward()
        gradients =""",
        wrong="""        loss.backward()
        if self._spec.optimizer.clip_norm:
            clip((parameter.grad for parameter in self._parameters.values()), self._spec.optimizer.clip_norm)
        gradients =""",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="decay lost where it is the same for all",
        file="optimizers.py",
        right="_create(spec, grouped, {",
        wrong="_create(spec, grouped if len(grouped) > 1 else list(parameters.values()), {",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="state of an LSTM kept from one evaluation to the next",
        file="recurrent.py",
        right="""        states, _ = super().forward(x)
        return states if self.return_sequences else states[:, -1]


class GRU""",
        wrong="""        kept = getattr(self, "_kept", None)
        if self.training or (kept is not None and kept[0].shape[1] != len(x)):
            kept = None
        states, self._kept = super().forward(x, kept)
        return states if self.return_sequences else states[:, -1]


class GRU""",
        level="layers",
    ),
    _Mistake(
        name="attention evaluated by the weights of its first call",
        file="tokens.py",
        right="        query, key, value = (self._split(linear(x)) for linear in (self.query, self.key, self.value))\n",
        wrong="""        if self.training:
            query, key, value = (self._split(linear(x)) for linear in (self.query, self.key, self.value))
        else:
            if not hasattr(self, "_packed"):
                maps = (self.query, self.key, self.value)
                bias = torch.cat([one.bias for one in maps]) if self.query.bias is not None else None
                self._packed = torch.cat([one.weight for one in maps]), bias
            query, key, value = map(self._split, nn.functional.linear(x, *self._packed).chunk(3, -1))
""",
        level="layers",
    ),
    _Mistake(
        name="labels in eight bits",
        file="session.py",
        right="self._labels = self._tensor(labels, torch.int64)",
        wrong="self._labels = self._tensor(labels.astype(np.uint8), torch.int64)",
        level="contract",
        check="many samples",
    ),
    _Mistake(
        name="a given dropout mask kept for the next call",
        file="expert/passes.py",
        right="            dropout.mask = dropout_masks.get(name)\n",
        wrong="""            kept = dropout.mask
            kept = kept if kept is not None and len(kept) == len(images) else None
            dropout.mask = dropout_masks.get(name, kept)
""",
        level="trajectories",
        check="native dropout",
        manner="expert",
    ),
    _Mistake(
        name="count of steps not loaded where a rule has no slots",
        file="session.py",
        right="""        self._overwrite(slots, state)
        self._steps""",
        wrong="""        if not slots:
            return
        self._overwrite(slots, state)
        self._steps""",
        level="contract",
        check="fixed orders",
    ),
    _Mistake(
        name="parameters loaded without a look at their names",
        file="session.py",
        right="check_names({name: tuple(tensor.shape) for name, tensor in self._tensors.items()}, parameters)",
        wrong="pass",
        level="contract",
        check="fixed orders",
    ),
)
