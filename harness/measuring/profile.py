"""What every layer of a network costs on a backend, found from the outside: by timing networks that grow by a layer.

Network k is the first k layers and a small head, where a residual or branches count as one layer, named as their
join is. What it takes more than network k - 1, measured in turn with it, is
the time of layer k; nothing is asked of a framework but the contract. A trained network's step is forward, backward
and update, so a layer's backward time is what is left of its share of the step after its forward time: the update of
its weights is in it. A difference that cannot be told from 0 is said to be that, and never shown as a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from results.formatting import significant
from results.statistics import estimate
from specs.architecture import Architecture
from specs.layers import Flatten, GlobalAvgPool, Layer, Linear
from specs.nodes import Node, Shape
from specs.shapes import backward_flops, top_level

FAR_SLOWER = 3.0
"""A layer this many times slower than on the best backend is worth a sentence."""
ADDS_UP = 1.5
"""Layers whose sum is this many times off the whole network, either way, were measured on too busy a machine."""


def stages(architecture: Architecture) -> tuple[Architecture, ...]:
    """Networks 0 to n as said above, then the network itself.

    The head, a mean over each image (tokens one behind the other) and two linear outputs, makes every one of them a
    network with weights to train and a loss of the same cost; it stands in both terms of every difference.
    """
    steps = top_level(architecture)
    items = tuple(item for item, _ in steps)
    shapes = (architecture.input, *(nodes[-1].output_shape for _, nodes in steps))
    grown = tuple(
        replace(architecture, name=f"{architecture.name}_{k}", classes=2, layers=(*items[:k], *_head(shape)))
        for k, shape in enumerate(shapes)
    )
    return (*grown, architecture)


def _head(shape: Shape) -> tuple[Layer, ...]:
    two = Linear(out_features=2)
    match len(shape):
        case 3:
            return (GlobalAvgPool(), two)
        case 2:
            return (Flatten(), two)
        case _:
            return (two,)


@dataclass(frozen=True)
class Lap:
    """One round's times of a network and the next, measured in turn: (shorter, longer), seconds per batch.

    Each is the fastest of the round's calls: other work on the machine only ever adds to a call.
    """

    forward: tuple[float, float]
    step: tuple[float, float]


@dataclass(frozen=True)
class Time:
    """Seconds per batch: the median over rounds and its 95 % interval."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Time:
        """Of one value per round, at least two."""
        found = estimate(values)
        assert found is not None and found.low is not None and found.high is not None
        return cls(found.median, found.low, found.high)

    @property
    def told_apart(self) -> bool:
        """Whether it is more than 0 beyond doubt; otherwise only ``most`` may be said of it."""
        return self.low > 0

    @property
    def most(self) -> float:
        """What it is at most: the interval's upper bound, or the median's size where that is below 0.

        A layer's time is a difference of two measurements; noise as large as it may bring it below 0.
        """
        return max(self.high, abs(self.median))


@dataclass(frozen=True)
class LayerTime:
    """One layer on one backend; a residual or branches are one, under the name of their join.

    ``forward_flops`` and ``backward_flops`` are of a batch, matrix products alone.
    """

    name: str
    forward: Time
    backward: Time
    both: Time
    forward_flops: int
    backward_flops: int

    @property
    def gflops(self) -> float | None:
        """GFLOP/s of forward and backward; None of a layer without a product or whose time cannot be told from 0."""
        if not self.forward_flops or not self.both.told_apart:
            return None
        return (self.forward_flops + self.backward_flops) / self.both.median / 1e9


@dataclass(frozen=True)
class BackendProfile:
    """A network on one backend. ``base`` is a step of network 0: gathering a batch, the call, head and loss.

    ``whole`` is a step of the network itself, measured apart; ``added_up`` is base and layers, and should be near it.
    """

    backend: str
    framework_version: str
    tuning: tuple[str, ...]
    base: Time
    layers: tuple[LayerTime, ...]
    whole: Time

    @property
    def added_up(self) -> float:
        """Seconds of base and all layers, those too small to be told from 0 included."""
        return self.base.median + sum(layer.both.median for layer in self.layers)

    @property
    def adds_up(self) -> bool:
        """Whether base and layers come to the whole as nearly as ADDS_UP says."""
        return 1 / ADDS_UP <= self.added_up / self.whole.median <= ADDS_UP


def layer_times(architecture: Architecture, laps: Sequence[Sequence[Lap]], batch_size: int) -> tuple[LayerTime, ...]:
    """The times of all layers from the laps of each pair of neighbours among the first n + 1 ``stages``."""
    costs = iter(backward_flops(architecture))
    return tuple(
        _layer_time(nodes, sum(next(costs) for _ in nodes), own, batch_size)
        for (_, nodes), own in zip(top_level(architecture), laps, strict=True)
    )


def _layer_time(nodes: Sequence[Node], cost: int, laps: Sequence[Lap], batch_size: int) -> LayerTime:
    forward = [lap.forward[1] - lap.forward[0] for lap in laps]
    both = [lap.step[1] - lap.step[0] for lap in laps]
    return LayerTime(
        name=nodes[-1].name,
        forward=Time.of(forward),
        backward=Time.of([b - f for b, f in zip(both, forward, strict=True)]),
        both=Time.of(both),
        forward_flops=sum(node.product_flops for node in nodes) * batch_size,
        backward_flops=cost * batch_size,
    )


@dataclass(frozen=True)
class SlowLayer:
    """A layer that is far slower on ``backend`` than on the best. ``parts`` are those it is so in, slowest first."""

    backend: str
    layer: LayerTime
    parts: tuple[SlowPart, ...]
    share_of_step: float
    share_of_peak: float | None

    def sentence(self) -> str:
        """What to know of it, in plain words."""
        said = ", ".join(part.phrase() for part in self.parts)
        peak = "" if self.share_of_peak is None else f", at {_percent(self.share_of_peak)} of the machine's peak"
        return (
            f"{self.layer.name} is {self.parts[0].times_text()} times slower on {self.backend} than on "
            f"{self.parts[0].best}: {said}. It takes {_percent(self.share_of_step)} of {self.backend}'s step{peak}."
        )


@dataclass(frozen=True)
class SlowPart:
    """``name`` is "forward", "backward" or "both"; ``bounded`` where the best is too fast for more than a bound."""

    name: str
    own: Time
    best: str
    best_s: float
    bounded: bool

    @property
    def times(self) -> float:
        """How many times slower."""
        return self.own.median / self.best_s

    def times_text(self) -> str:
        """The same for a sentence; "over 12" where the best has but a bound."""
        return f"{'over ' if self.bounded else ''}{significant(self.times, 2)}"

    def phrase(self) -> str:
        """E.g. "forward 41 ms against 0.7 ms"."""
        name = "forward and backward" if self.name == "both" else self.name
        return f"{name} {milliseconds(self.own.median)} against {'below ' * self.bounded}{milliseconds(self.best_s)}"


def slow_layers(profiles: Mapping[str, BackendProfile], of: str, peak_gflops: float | None) -> list[SlowLayer]:
    """The layers of one backend that are over FAR_SLOWER times slower than on the best, the costliest first.

    Beyond doubt: its interval lies above FAR_SLOWER times the best one's median and above all of the best's interval.
    A layer that seems to take longer than the whole network was measured while the machine was busy, and is left out.
    """
    own = profiles[of]
    rivals = [profile for name, profile in profiles.items() if name != of]
    found = []
    for place, layer in enumerate(own.layers):
        if layer.both.median > own.whole.high:
            continue
        parts = [
            part
            for name in ("both", "forward", "backward")
            if (part := _slow_part(name, layer, {rival.backend: rival.layers[place] for rival in rivals}))
        ]
        if parts:
            parts.sort(key=lambda part: -part.times)
            share = None if layer.gflops is None or not peak_gflops else layer.gflops / peak_gflops
            found.append(SlowLayer(of, layer, tuple(parts), max(0.0, layer.both.median) / own.whole.median, share))
    return sorted(found, key=lambda slow: -slow.layer.both.median)


def _slow_part(name: str, layer: LayerTime, rivals: Mapping[str, LayerTime]) -> SlowPart | None:
    time: Time = getattr(layer, name)
    if not time.told_apart or not rivals:
        return None
    known = {backend: getattr(rival, name) for backend, rival in rivals.items()}
    best = min(known, key=lambda backend: _known(known[backend]))
    if time.low <= max(FAR_SLOWER * _known(known[best]), known[best].most):
        return None
    return SlowPart(name, time, best, _known(known[best]), not known[best].told_apart)


def _known(time: Time) -> float:
    return time.median if time.told_apart else time.most


def milliseconds(seconds: float) -> str:
    """Seconds as text in milliseconds, three digits, no finer than a tenth of a microsecond."""
    return f"{significant(round(seconds * 1000, 4))} ms"


def _percent(share: float) -> str:
    return f"{significant(100 * share, 2)} %"
