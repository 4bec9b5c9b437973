"""Scripts of the contract's calls: what may be called next depends on what was called before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends.contract import SessionSpec
from harness.conformance.case import draw_masks, draw_parameters, seeded
from harness.conformance.drawing import Draw
from harness.worker.script import OPENS, Call
from specs.architecture import Architecture
from specs.optimizers import Optimizer


@dataclass(frozen=True, kw_only=True)
class DrawnSizes:
    """What to draw from: numbers of training samples, batch sizes, steps in a call, images to predict."""

    samples: tuple[int, ...]
    batches: tuple[int, ...]
    steps: tuple[int, ...]
    images: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Script:
    """Calls with all their arrays; those of type float32 are handed over in the session's own type."""

    name: str
    spec: SessionSpec
    calls: tuple[Call, ...]

    def spec_in(self, precision: str) -> SessionSpec:
        """What all its sessions are opened with."""
        return replace(self.spec, precision=precision)

    def calls_in(self, precision: str) -> tuple[Call, ...]:
        """The calls for sessions of a precision."""
        dtype = self.spec_in(precision).dtype
        return tuple(replace(call, arguments=_in(dtype, call.arguments)) for call in self.calls)


def _in(dtype: np.dtype[Any], arguments: Any) -> dict[str, Any]:
    def one(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: one(array) for name, array in value.items()}
        return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype == np.float32 else value

    return {name: one(value) for name, value in arguments.items()}


class Writer:
    """Writes a script call by call, for sessions that go by 0, 1, ..., and draws the arrays."""

    def __init__(self, name: str, architecture: Architecture, optimizer: Optimizer) -> None:
        self._name = name
        self._architecture = architecture
        self._optimizer = optimizer
        self._generator = seeded(name)
        self._samples: dict[int, int] = {}
        self._read: dict[int, dict[str, list[int]]] = {}
        self.calls: list[Call] = []

    @property
    def open_sessions(self) -> tuple[int, ...]:
        """Those that are open."""
        return tuple(self._samples)

    def script(self) -> Script:
        """What was written."""
        spec = SessionSpec(architecture=self._architecture, optimizer=self._optimizer)
        return Script(name=self._name, spec=spec, calls=tuple(self.calls))

    def open(self, samples: int) -> None:
        """One more session, with parameters and training data."""
        session = len(self._read)
        self._call(session, OPENS)
        self._read[session] = {"parameters": [], "optimizer_state": []}
        self._call(session, "load_parameters", parameters=draw_parameters(self._architecture, self._generator))
        self.set_data(session, samples)

    def close(self, session: int) -> None:
        """End a session."""
        self._call(session, "close")
        del self._samples[session]

    def set_data(self, session: int, samples: int) -> None:
        """Other training data."""
        self._samples[session] = samples
        labels = self._generator.integers(self._architecture.classes, size=samples)
        self._call(session, "set_training_data", images=self._images(samples), labels=labels)

    def train(self, session: int, batch: int, steps: int) -> None:
        """So many steps on batches of this size, every one at a rate of its own."""
        order = self._generator.integers(self._samples[session], size=(steps, batch))
        rates = self._optimizer.learning_rate * self._generator.uniform(0.2, 1, steps)
        masks = draw_masks(self._architecture, (steps, batch), self._generator) or None
        self._call(session, "train_steps", batch_indices=order, learning_rates=rates, dropout_masks=masks)

    def gradients(self, session: int, batch: int) -> None:
        """Loss and gradients of images that are not the training data's."""
        labels = self._generator.integers(self._architecture.classes, size=batch)
        masks = draw_masks(self._architecture, (batch,), self._generator) or None
        self._call(session, "loss_and_gradients", images=self._images(batch), labels=labels, dropout_masks=masks)

    def predict(self, session: int, images: int) -> None:
        """Logits of so many images."""
        self._call(session, "predict", images=self._images(images))

    def compile(self, session: int, batch: int, steps: int) -> None:
        """What calls of up to so many steps can use."""
        self._call(session, "compile", batch_size=batch, steps=steps)

    def read(self, session: int, what: str) -> None:
        """Ask for "parameters" or "optimizer_state"."""
        self._read[session][what].append(len(self.calls))
        self._call(session, what)

    def load_again(self, session: int, what: str, which: int) -> bool:
        """Give back what was read before, the very arrays; ``which`` counts the readings. False where there is none."""
        places = self._read[session][what]
        if places:
            again = {"parameters": "parameters", "optimizer_state": "state"}[what]
            self.calls.append(Call(session=session, method=f"load_{what}", again=again, of=places[which % len(places)]))
        return bool(places)

    def refused(self, session: int, method: str, **arguments: Any) -> None:
        """A call that has to be refused, and to change nothing."""
        self._call(session, method, refused=True, **arguments)

    def write(self, session: int, method: str) -> None:
        """Save or export."""
        self._call(session, method)

    def _images(self, count: int) -> Any:
        return self._generator.standard_normal((count, *self._architecture.input), np.float32)

    def _call(self, session: int, method: str, *, refused: bool = False, **arguments: Any) -> None:
        self.calls.append(Call(session=session, method=method, arguments=arguments, refused=refused))


def drawn(
    name: str,
    architecture: Architecture,
    optimizer: Optimizer,
    sizes: DrawnSizes,
    *,
    calls: int,
    writes: Sequence[str],
) -> Script:
    """A script of ``calls`` drawn calls between two readings of everything; ``writes`` are "save" and "export"."""
    draw = Draw(name)
    writer = Writer(name, architecture, optimizer)
    writer.open(draw.choice(sizes.samples))
    for number in range(calls):
        if number == calls // 2:
            writer.open(draw.choice(sizes.samples))
        if number == 3 * calls // 4:
            writer.close(0)
        _any(draw, writer, sizes)
    for session in writer.open_sessions:
        for method in writes:
            writer.write(session, method)
        _take_back(draw, writer, session, sizes)
        writer.read(session, "parameters")
        writer.read(session, "optimizer_state")
        writer.predict(session, sizes.images[0])
    return writer.script()


def _take_back(draw: Draw, writer: Writer, session: int, sizes: DrawnSizes) -> None:
    """Steps on other data that are undone and made again, as a run's warm-up is."""
    batch, everything = sizes.batches[0], ("parameters", "optimizer_state")
    writer.set_data(session, draw.choice(sizes.samples))
    for what in everything:
        writer.read(session, what)
    for _ in range(2):
        writer.train(session, batch, draw.choice(sizes.steps))
        for what in everything:
            writer.load_again(session, what, -1)
    writer.train(session, batch, sizes.steps[0])


def _any(draw: Draw, writer: Writer, sizes: DrawnSizes) -> None:
    """One call on one of the sessions; training is drawn most often."""
    session, batch, steps = draw.choice(writer.open_sessions), draw.choice(sizes.batches), sizes.steps
    match draw.integer(0, 11):
        case 0 | 1 | 2 | 3:
            writer.train(session, batch, draw.choice(steps))
        case 4 | 5:
            writer.predict(session, draw.choice(sizes.images))
        case 6:
            writer.gradients(session, batch)
        case 7:
            writer.set_data(session, draw.choice(sizes.samples))
        case 8:
            writer.compile(session, batch, max(steps))
        case 9 | 10 as kind:
            writer.read(session, ("parameters", "optimizer_state")[kind - 9])
        case _:
            if not writer.load_again(
                session, what := draw.choice(("parameters", "optimizer_state")), draw.integer(0, 9)
            ):
                writer.read(session, what)
