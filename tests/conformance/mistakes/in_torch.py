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
        check="add",
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
)
