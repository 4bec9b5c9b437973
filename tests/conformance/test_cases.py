"""The cases are what they claim to be: the same in every process, varied, and telling."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backends.contract import SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance import drawn_layers, graph_cases, join_cases, layer_cases, network_cases
from harness.conformance.case import ConformanceCase, cast
from harness.conformance.family_cases import FIRST, FURTHER, family_cases, single_cases
from harness.conformance.kinks import CLEARANCE, kinks_per_sample, margin
from harness.conformance.optimizer_cases import BATCH, NETWORK, OPTIMIZERS, fifty_steps, probe, problem
from harness.conformance.suite import FULL, Suite
from harness.conformance.tolerances import tolerances
from harness.conformance.trajectories import STEPS, initial, on_random_data, rates_of
from harness.datasets import load_dataset
from specs import nest
from specs.architecture import Architecture
from specs.codec import to_plain
from specs.layers import JOINS, LAYERS, Flatten, Linear, MaxPool2d, ReLU
from specs.loading import architecture_names, default_recipe, load_architecture
from specs.nodes import INPUT
from specs.optimizers import OPTIMIZERS as KINDS
from specs.optimizers import SGD, Adam
from specs.shapes import infer

# SHA-256 of all drawn cases as they were when the suite first ran on them.
DRAWN = "08c5ba2fd3cb35cf71c3e0706bb195ca25121354118b7812a72013d282ae77e8"

ROOT = Path(__file__).parents[2]


def test_every_layer_and_optimizer_is_judged() -> None:
    fixed = layer_cases.fixed_cases() | join_cases.fixed_cases()
    assert all(fixed[kind] for kind in LAYERS | JOINS)
    assert {optimizer.kind for optimizer in OPTIMIZERS} == set(KINDS)


def test_case_names_are_unique() -> None:
    layers = [case for found in (layer_cases, join_cases) for cases in found.fixed_cases().values() for case in cases]
    families = [case for which in (FIRST, FURTHER) for (case,) in family_cases(which).values()]
    drawn = [case for cases in drawn_layers.drawn_cases(3).values() for case in cases]
    networks = [
        *network_cases.bundled_cases(architecture_names()),
        *network_cases.corner_cases(),
        *network_cases.drawn_cases(24),
    ]
    graphs = graph_cases.graph_cases(4)
    optimizers = [make(optimizer) for optimizer in OPTIMIZERS for make in (probe, fifty_steps)]
    cases: list[ConformanceCase] = [*layers, *families, *drawn, *networks, *graphs, *optimizers]
    names = [case.name for case in cases]
    assert len(names) == len(set(names))


def test_a_layer_alone_in_place_of_its_family_is_the_case_of_that_name() -> None:
    """The reference remembers by name: another case would be judged by what was observed of the first."""
    found = layer_cases.fixed_cases() | join_cases.fixed_cases()
    known = {case.name: case for cases in found.values() for case in cases}
    alone = [case for which in (FIRST, FURTHER) for cases in single_cases(which).values() for case in cases]
    assert {case.name for case in alone} <= known.keys()
    for case in alone:
        assert case.evaluated_after == known[case.name].evaluated_after


@pytest.mark.parametrize("name", architecture_names())
def test_bundled_networks_keep_clear_of_kinks(name: str) -> None:
    """Both calls of a case, whose samples come in two orders, are float32's to compare."""
    (case,) = network_cases.bundled_cases([name])
    session = NumpySession(case.spec("float64"))
    session.load_parameters(case.parameters)
    assert margin(session, case.architecture, case.images, dropout_masks=case.dropout_masks) > 2 * CLEARANCE
    assert len(case.images) == len(case.labels) == network_cases.BUNDLED_BATCH


def test_drawn_networks_are_at_least_twenty_and_use_the_whole_vocabulary() -> None:
    drawn = network_cases.drawn_cases(FULL.drawn_networks)
    kinds = {layer.kind for case in drawn for layer in case.architecture.layers}
    assert len(drawn) >= 20
    assert kinds >= set(LAYERS) - {"softmax"}


def test_drawn_graphs_are_at_least_forty_and_nest_three_levels_of_everything() -> None:
    cases = graph_cases.graph_cases(FULL.drawn_graphs)
    assert len(cases) >= 40
    nodes = [node for case in cases for node in infer(case.architecture)]
    assert {node.layer.kind for node in nodes} >= set(LAYERS | JOINS) - {"softmax"}
    assert {nest.depth(case.architecture.layers) for case in cases} == {3}
    text = json.dumps([to_plain(case.architecture) for case in cases])
    assert all(f'"{kind}"' in text for kind in nest.NESTS)
    assert any(INPUT in node.inputs for node in nodes if node.layer.kind in JOINS)
    assert any(len(node.inputs) > 2 for node in nodes)


def test_drawn_cases_are_these_ones_whatever_is_installed() -> None:
    """Their structure comes from a generator of our own; this holds it still."""
    layers = [case.name for cases in drawn_layers.drawn_cases(3).values() for case in cases]
    chains = [to_plain(case.architecture) for case in network_cases.drawn_cases(FULL.drawn_networks)]
    graphs = [to_plain(case.architecture) for case in graph_cases.graph_cases(FULL.drawn_graphs)]
    text = json.dumps([layers, chains, graphs], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == DRAWN


def test_cases_are_the_same_in_another_process() -> None:
    code = (
        "from harness.conformance import drawn_layers, graph_cases, layer_cases, network_cases\n"
        "cases = [c for found in drawn_layers.drawn_cases(2).values() for c in found]\n"
        "cases += [*network_cases.drawn_cases(3), *graph_cases.graph_cases(2)]\n"
        "for case in cases: print(case.name, float(case.images.sum()))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].splitlines()) > 10


def test_gradients_of_the_probe_run_from_tiny_to_large_with_exact_zeros() -> None:
    images, labels, parameters = problem(NETWORK)
    session = NumpySession(probe(SGD()).spec("float64"))
    session.load_parameters(cast(parameters, np.dtype(np.float64)))
    _, gradients = session.loss_and_gradients(images[:BATCH].astype(np.float64), labels[:BATCH])
    sizes = np.abs(np.concatenate([gradient.ravel() for name, gradient in gradients.items() if name != "input"]))
    assert (sizes == 0).any()
    assert sizes[sizes > 0].min() < 1e-6
    assert ((sizes > 1e-4) & (sizes < 1e-2)).any()
    assert sizes.max() > 0.5


def test_the_probe_changes_its_rate_and_has_a_large_epsilon() -> None:
    case = probe(Adam())
    assert len(set(case.learning_rates)) > 1
    assert isinstance(case.optimizer, Adam)
    assert case.optimizer.epsilon == 0.1


def test_margin_is_the_smallest_distance_to_a_kink() -> None:
    layers = (MaxPool2d(kernel_size=(1, 2)), ReLU(), Flatten(), Linear(out_features=2))
    architecture = Architecture(name="kinked", input=(1, 1, 4), classes=2, layers=layers)
    session = NumpySession(
        SessionSpec(architecture=architecture, optimizer=SGD(learning_rate=0.1), precision="float64")
    )
    images = np.array([3.0, 5.0, -0.25, -4.0]).reshape(1, 1, 1, 4)
    # Leads in the windows 2 and 3.75; the pooled 5 and -0.25 lie 5 and 0.25 from relu's kink.
    assert margin(session, architecture, images) == pytest.approx(0.25 / np.sqrt((25 + 0.0625) / 2))
    assert kinks_per_sample(architecture) == 4


def test_exact_ties_are_no_kink() -> None:
    layers = (MaxPool2d(kernel_size=(1, 2)), Flatten(), Linear(out_features=2))
    architecture = Architecture(name="tied", input=(1, 1, 2), classes=2, layers=layers)
    session = NumpySession(
        SessionSpec(architecture=architecture, optimizer=SGD(learning_rate=0.1), precision="float64")
    )
    assert margin(session, architecture, np.ones((1, 1, 1, 2))) == np.inf


def test_random_trajectories_keep_clear_of_kinks() -> None:
    architecture, recipe = load_architecture("lenet5"), default_recipe("lenet5")
    case = on_random_data(architecture, recipe)
    session = NumpySession(case.spec("float64"))
    session.set_training_data(case.images, case.labels)
    session.load_parameters(initial(architecture, recipe, np.dtype(np.float64)))
    for batch, rate in zip(case.batches, rates_of(recipe, len(case.batches[0])), strict=True):
        assert margin(session, architecture, case.images[batch]) > CLEARANCE
        session.train_steps(batch[None], np.array([rate]))
    assert len(case.batches) == STEPS
    assert len(case.batches[-1]) < len(case.batches[0])


def test_every_tolerance_has_its_reason() -> None:
    assert all(tolerance.reason for _, _, tolerance in tolerances())
    clear = [tolerance for quantity, _, tolerance in tolerances() if "near kinks" not in quantity]
    assert all(tolerance.limit <= 1e-3 or tolerance.unit for tolerance in clear)


def test_checks_have_unique_names() -> None:
    names = [str(check) for check in Suite().checks()]
    assert len(names) == len(set(names))


def test_networks_too_large_for_a_margin_are_left_out_on_mnist_and_named() -> None:
    suite = Suite(FULL, mnist=load_dataset("digits"))
    on_mnist = {check.name.removesuffix(" on mnist") for check in suite.checks() if check.name.endswith(" on mnist")}
    on_random = {check.name.removesuffix(" on random data") for check in suite.checks() if "random data" in check.name}
    assert on_random - on_mnist == {"resnet20", "densenet_mini", "mobilenet_mini", "vgg11_bn"}
    assert suite.notes() == (
        "level trajectories: densenet_mini, mobilenet_mini, resnet20, vgg11_bn on random data alone: "
        "too large to keep clear of kinks",
    )
    assert suite.notes(["layers"]) == ()
    assert "MNIST is not here" in Suite(FULL).notes()[0]
