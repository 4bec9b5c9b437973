"""Layer times from growing networks: exact figures from made-up laps, and real workers of fake frameworks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.measuring.profile import BackendProfile, Lap, LayerTime, Time, layer_times, slow_layers, stages
from harness.measuring.profiling import Profiled, ProfileOutcome, ProfilePlan, profile
from specs.architecture import Architecture
from specs.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Softmax
from specs.loading import architecture_names, load_architecture, load_recipe
from specs.nest import Repeat, Residual
from specs.shapes import infer, top_level, train_flops
from tests.fakes import registered, rival

pytestmark = pytest.mark.alone

NET = Architecture(
    name="net",
    input=(1, 8, 8),
    classes=3,
    layers=(
        Conv2d(out_channels=4, kernel_size=3, padding=1),
        ReLU(),
        MaxPool2d(kernel_size=2),
        Flatten(),
        Linear(out_features=3),
    ),
)


@pytest.mark.parametrize("name", architecture_names())
def test_every_stage_is_a_network_that_has_a_layer_more(name: str) -> None:
    architecture = load_architecture(name)
    *grown, whole = stages(architecture)
    steps = top_level(architecture)
    assert whole is architecture
    assert len(grown) == len(steps) + 1
    assert tuple(node.name for _, own in steps for node in own) == tuple(node.name for node in infer(architecture))
    for count, stage in enumerate(grown):
        nodes = infer(stage)  # raises where the shapes do not fit
        known = [(node.name, node.inputs) for _, own in steps[:count] for node in own]
        assert [(node.name, node.inputs) for node in nodes[: len(known)]] == known
        assert any(node.parameters for node in nodes)
        assert len(nodes) - len(known) <= 2
        assert nodes[-1].output_shape == (2,)


def test_a_residual_is_one_layer_under_the_name_of_its_join() -> None:
    block = Residual(layers=(Conv2d(out_channels=1, kernel_size=3, padding=1), ReLU()))
    net = replace(NET, layers=(Repeat(times=2, layers=(block, ReLU())), *NET.layers[-2:]))
    times = layer_times(net, laps([1.0] * 6, [1.0] * 6), 8)
    assert [time.name for time in times] == ["add_1", "relu_2", "add_2", "relu_4", "flatten_1", "linear_1"]
    assert times[2].backward_flops == 2 * times[2].forward_flops > 0
    assert sum(time.forward_flops + time.backward_flops for time in times) == 8 * train_flops(net)


def test_a_trailing_softmax_is_no_layer_of_training() -> None:
    with_softmax = replace(NET, layers=(*NET.layers, Softmax()))
    assert [s.layers for s in stages(with_softmax)[:-1]] == [s.layers for s in stages(NET)[:-1]]


def laps(
    forward: list[float], backward: list[float], drift: tuple[float, ...] = (1.0, 1.1, 0.9, 1.3, 1.2)
) -> list[list[Lap]]:
    """Rounds of a machine whose speed drifts: base 1 ms forward and 2 ms in all, layers as given, in ms."""
    found = []
    for k in range(len(forward)):
        before, after = 1 + sum(forward[:k]), 1 + sum(forward[: k + 1])
        step = [2 + sum(forward[:j]) + sum(backward[:j]) for j in (k, k + 1)]
        found.append([Lap((before * d / 1e3, after * d / 1e3), (step[0] * d / 1e3, step[1] * d / 1e3)) for d in drift])
    return found


def test_layer_times_are_differences_of_neighbours() -> None:
    steady = laps([4.0, 0.5, 0.25, 0.0, 1.0], [8.0, 0.5, 0.5, 0.0, 2.0], drift=(1.0,) * 5)
    times = layer_times(NET, steady, 16)
    assert [time.name for time in times] == [layer.name for layer in infer(NET)]
    assert [time.forward.median for time in times] == pytest.approx([4e-3, 5e-4, 2.5e-4, 0, 1e-3])
    assert [time.backward.median for time in times] == pytest.approx([8e-3, 5e-4, 5e-4, 0, 2e-3])
    assert times[0].forward_flops == 16 * 2 * 9 * 4 * 64
    assert times[0].backward_flops == times[0].forward_flops  # no gradient of the input
    assert times[0].gflops == pytest.approx((times[0].forward_flops + times[0].backward_flops) / 12e-3 / 1e9)
    assert sum(t.forward_flops + t.backward_flops for t in times) == 16 * train_flops(NET)
    assert times[1].gflops is None  # no matrix product


def test_what_cannot_be_told_from_0_has_a_bound_and_no_time() -> None:
    noise = [(0.001, 0.0011), (0.001, 0.0009), (0.001, 0.00105), (0.001, 0.00098), (0.001, 0.001)]
    one = [Lap(forward, (2 * forward[0], 2 * forward[1])) for forward in noise]
    time = layer_times(replace(NET, layers=(Flatten(), Linear(out_features=3))), [one, one], 1)[1]
    assert not time.forward.told_apart
    assert not time.both.told_apart
    assert 0 < time.forward.most < 0.0002
    assert time.gflops is None
    faster = Time.of([-0.003, -0.002, -0.001])
    assert not faster.told_apart
    assert faster.most > 0


def backend(name: str, forward: list[float], backward: list[float]) -> BackendProfile:
    times = layer_times(NET, laps(forward, backward), 16)
    whole = Time.of([(2 + sum(forward) + sum(backward)) / 1e3 * d for d in (1.0, 1.1, 0.9)])
    return BackendProfile(name, "1.0", (), Time(0.002, 0.002, 0.002), times, whole)


def test_a_layer_over_three_times_slower_is_named_in_a_sentence() -> None:
    fast = backend("fast", [1.0, 0.2, 0.2, 0.0, 1.0], [2.0, 0.2, 0.2, 0.0, 2.0])
    slow = backend("slow", [60.0, 0.2, 0.3, 0.0, 1.0], [2.5, 0.2, 1.0, 0.0, 2.0])
    profiles = {"fast": fast, "slow": slow}
    assert fast.adds_up
    found = slow_layers(profiles, "slow", peak_gflops=100.0)
    assert [one.layer.name for one in found] == ["conv2d_1", "max_pool2d_1"]
    said = found[0].sentence()
    assert said.startswith("conv2d_1 is 60 times slower on slow than on fast: forward 66.0 ms against 1.10 ms, ")
    assert "forward and backward 68.8 ms against 3.30 ms. It takes" in said
    assert said.endswith("of the machine's peak.")
    assert "backward 2.7" not in said  # 1.25 times slower is not far
    assert [part.name for part in found[1].parts] == ["backward"]  # together 3.2 times, and not beyond doubt
    assert slow_layers(profiles, "fast", peak_gflops=None) == []
    assert slow_layers({"slow": slow}, "slow", peak_gflops=None) == []


def test_against_a_best_that_has_but_a_bound_so_it_is_said() -> None:
    known = Time(0.03, 0.029, 0.031)
    bound = Time(0.0, -0.001, 0.001)
    layer = lambda time: LayerTime("relu_1", time, time, time, 0, 0)  # noqa: E731
    one = lambda name, time: BackendProfile(name, "1", (), known, (layer(time),), Time(0.06, 0.06, 0.06))  # noqa: E731
    (found,) = slow_layers({"a": one("a", known), "b": one("b", bound)}, "a", None)
    assert "over 30 times slower on a than on b" in found.sentence()
    assert "against below 1.00 ms" in found.sentence()
    busy = BackendProfile("a", "1", (), known, (layer(known),), Time(0.01, 0.01, 0.01))
    assert slow_layers({"a": busy, "b": one("b", bound)}, "a", None) == []  # more than the whole network


@pytest.fixture
def measured(backend_python: Callable[[str], Path]) -> Callable[..., ProfileOutcome]:
    """``measured("fake", "rival")``: NET on those, in real workers."""

    def run(*backends: str, rounds: int = 5) -> ProfileOutcome:
        recipe = replace(load_recipe("default"), batch_size=4)
        subjects = {name: Profiled(name, backend_python("numpy"), "expert") for name in backends}
        plan = ProfilePlan(
            architecture=NET,
            recipe=recipe,
            backends=subjects,
            threads=1,
            rounds=rounds,
            timeout_s=100.0,
        )
        return profile(plan, lambda what, done, of: None)

    return run


def test_known_layer_times_are_found_in_real_workers(measured: Callable[..., ProfileOutcome]) -> None:
    """Waits watch the clock, so a busy machine lengthens a wait now and then; the fastest of a round is true."""
    spec = {"conv2d_1": (0.02, 0.03), "max_pool2d_1": (0.004, 0.01), "linear_1": (0.004, 0.006)}
    with registered(layer_s=spec), rival(layer_s={**spec, "conv2d_1": (0.002, 0.03)}):
        outcome = measured("fake", "rival")
    assert outcome.failed == {}
    # The head of every stage is linear_1 as well, and linear_2 in the network that has one of its own.
    layers = {layer.name: layer for layer in outcome.profiles["fake"].layers}
    conv = layers["conv2d_1"]
    assert conv.forward.median == pytest.approx(0.02, rel=0.05)
    assert conv.backward.median == pytest.approx(0.03, rel=0.05)
    assert layers["max_pool2d_1"].both.median == pytest.approx(0.014, rel=0.1)
    assert outcome.profiles["fake"].base.median == pytest.approx(0.01, rel=0.05)
    assert not layers["flatten_1"].forward.told_apart or layers["flatten_1"].forward.median < 0.001
    assert outcome.profiles["fake"].whole.median == pytest.approx(0.074, rel=0.05)
    assert outcome.profiles["fake"].adds_up
    (found,) = slow_layers(outcome.profiles, "fake", None)
    assert found.layer.name == "conv2d_1"
    assert [part.name for part in found.parts] == ["forward"]
    assert slow_layers(outcome.profiles, "rival", None) == []


def test_a_backend_that_fails_is_left_out_and_the_other_goes_on(measured: Callable[..., ProfileOutcome]) -> None:
    with registered(train="segfault", after_steps=3), rival():
        outcome = measured("fake", "rival", rounds=2)
    assert "SIGSEGV" in outcome.failed["fake"]
    assert list(outcome.profiles) == ["rival"]


def test_the_command_prints_json_without_negative_times(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from harness.cli.profile import profile as command

    model = tmp_path / "small.yaml"
    model.write_text("{name: small, input: [1, 4, 4], classes: 2, layers: [flatten, linear: {out_features: 2}]}")
    with registered(layer_s={"linear_1": (0.01, 0.01)}), rival():
        status = command(model=str(model), backend=["fake,rival"], threads=1, repeats=2, json=True, quiet=True)
    assert status == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed["backends"]) == ["fake", "rival"]
    for one in printed["backends"].values():
        for layer in one["layers"]:
            for part in ("forward", "backward", "both"):
                time = layer[part]
                assert 0 <= time["low_ms"] <= (time["ms"] or 0) or time["ms"] is None
                assert time["high_ms"] >= 0


def test_a_time_that_came_out_below_zero_is_at_most_as_large_as_that() -> None:
    time = Time.of([-2.40e-8, -2.60e-8])
    assert not time.told_apart
    assert time.most == pytest.approx(2.5e-8)
