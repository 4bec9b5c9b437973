"""Nests lowered to nodes: names, inputs, order, shapes, bounds; and that chains keep names and fingerprints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specs import layers as L
from specs.architecture import Architecture
from specs.codec import from_plain, to_plain
from specs.errors import RequestError
from specs.identity import architecture_sha256
from specs.loading import load_architecture
from specs.nest import Branches, Item, Repeat, Residual
from specs.nodes import INPUT, Node, consumers, is_chain, last_uses
from specs.shapes import backward_flops, infer, parameter_shapes, top_level, train_flops

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def conv(channels: int, **options: int) -> L.Conv2d:
    return L.Conv2d(out_channels=channels, **{"kernel_size": 3, "padding": 1, **options})  # type: ignore[arg-type]


HEAD: tuple[L.Layer, ...] = (L.GlobalAvgPool(), L.Linear(out_features=3))
BLOCK = Residual(layers=(conv(4), L.ReLU(), conv(4)))


def network(*items: Item) -> Architecture:
    return Architecture(name="net", input=(4, 6, 6), classes=3, layers=(*items, *HEAD))


def wiring(architecture: Architecture) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in infer(architecture)}


def test_a_residual_with_the_identity() -> None:
    assert wiring(network(L.ReLU(), BLOCK)) == {
        "relu_1": (INPUT,),
        "conv2d_1": ("relu_1",),
        "relu_2": ("conv2d_1",),
        "conv2d_2": ("relu_2",),
        "add_1": ("conv2d_2", "relu_1"),
        "global_avg_pool_1": ("add_1",),
        "linear_1": ("global_avg_pool_1",),
    }


def test_a_projection_comes_after_the_layers() -> None:
    net = network(Residual(layers=(conv(8, stride=2),), shortcut=(conv(8, stride=2, kernel_size=1, padding=0),)))
    assert wiring(net)["add_1"] == ("conv2d_1", "conv2d_2")
    assert wiring(net)["conv2d_2"] == (INPUT,)
    assert list(parameter_shapes(net)) == [
        *("conv2d_1.weight", "conv2d_1.bias", "conv2d_2.weight", "conv2d_2.bias", "linear_1.weight", "linear_1.bias")
    ]


def test_branches_concatenate_channels_and_features() -> None:
    images = Branches(join="concat", paths=((), (conv(2), L.ReLU()), (conv(3),)))
    features = Branches(join="concat", paths=((L.Linear(out_features=5),), (L.Linear(out_features=7),)))
    net = network(images, L.GlobalAvgPool(), features, Branches(join="add", paths=((), (L.ReLU(),))))
    net = Architecture(name="n", input=net.input, classes=3, layers=(*net.layers[:-2], HEAD[1]))
    nodes = {node.name: node for node in infer(net)}
    assert nodes["concat_1"].inputs == (INPUT, "relu_1", "conv2d_2")
    assert nodes["concat_1"].input_shapes == ((4, 6, 6), (2, 6, 6), (3, 6, 6))
    assert nodes["concat_1"].output_shape == (9, 6, 6)
    assert nodes["concat_2"].output_shape == (12,)
    assert nodes["add_1"].inputs == ("concat_2", "relu_2")
    assert nodes["add_1"].forward_flops == 12
    assert nodes["concat_1"].forward_flops == 0


def test_a_repeat_is_what_it_repeats_written_out() -> None:
    repeated = network(Repeat(times=2, layers=(BLOCK, Repeat(times=2, layers=(L.ReLU(),)))))
    written = network(BLOCK, L.ReLU(), L.ReLU(), BLOCK, L.ReLU(), L.ReLU())
    assert wiring(repeated) == wiring(written)
    assert is_chain(infer(network(Repeat(times=3, layers=(conv(4), L.ReLU())))))
    assert not is_chain(infer(repeated))


def test_nests_within_nests_to_three_levels() -> None:
    inner = Branches(join="add", paths=((BLOCK,), (conv(4),)))
    nodes = infer(network(Residual(layers=(inner, L.ReLU()), shortcut=(Residual(layers=(conv(4),)),))))
    assert [node.name for node in nodes][:8] == [
        *("conv2d_1", "relu_1", "conv2d_2", "add_1", "conv2d_3", "add_2", "relu_2", "conv2d_4")
    ]
    at = {node.name: node for node in nodes}
    assert at["add_2"].inputs == ("add_1", "conv2d_3")
    assert at["add_3"].inputs == ("conv2d_4", INPUT)
    assert at["add_4"].inputs == ("relu_2", "add_3")
    assert at["conv2d_2"].place == (
        *("layers", 0, "residual", "layers", 0, "branches", "paths", 0, 0, "residual", "layers", 2),
    )


def test_every_node_comes_after_its_inputs_and_values_are_freed_once() -> None:
    nodes = infer(network(BLOCK, Branches(join="concat", paths=((BLOCK,), (), (conv(2),)))))
    known, freed = {INPUT}, []
    for node, names in zip(nodes, last_uses(nodes), strict=True):
        assert set(node.inputs) <= known - set(freed)
        known.add(node.name)
        freed += names
    assert sorted(freed) == sorted(known - {nodes[-1].name})
    assert consumers(nodes)[INPUT] == 2
    assert consumers(nodes)[nodes[-1].name] == 0


def test_backward_costs_an_input_gradient_where_something_below_is_trained() -> None:
    net = network(Residual(layers=(conv(4),), shortcut=(L.ReLU(), conv(4))), conv(4))
    first, _, shortcut, _, above, *_ = backward_flops(net)
    assert first == shortcut == 4 * 4 * 9 * 36 * 2
    assert above == 2 * first
    assert train_flops(net) == 3 * first + 4 * first + 3 * 2 * 4 * 3


def test_the_outermost_items_and_their_nodes() -> None:
    net = Architecture(
        name="net", input=(4, 6, 6), classes=3, layers=(Repeat(times=2, layers=(BLOCK,)), L.ReLU(), *HEAD, L.Softmax())
    )
    steps = top_level(net)
    assert [item.kind for item, _ in steps] == ["residual", "residual", "relu", "global_avg_pool", "linear"]
    assert [nodes[-1].name for _, nodes in steps] == ["add_1", "add_2", "relu_3", "global_avg_pool_1", "linear_1"]
    assert tuple(node for _, nodes in steps for node in nodes) == without_places(steps, infer(net))


def without_places(steps: object, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Places differ, for repeats are written out."""
    by_name = {node.name: node for _, own in steps for node in own}  # type: ignore[attr-defined]
    return tuple(by_name[node.name] for node in nodes)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (
            (L.ReLU(), Residual(layers=(conv(8),))),
            "layers[1].residual (add): what is added must have one shape, "
            "but layers gives [8, 6, 6], shortcut (the identity) gives [4, 6, 6]",
        ),
        (
            (Residual(layers=(conv(4),), shortcut=(conv(4, stride=2),)),),
            "layers[0].residual (add): what is added must have one shape, "
            "but layers gives [4, 6, 6], shortcut gives [4, 3, 3]",
        ),
        (
            (Branches(join="concat", paths=((conv(4),), (L.MaxPool2d(kernel_size=2),))),),
            "layers[0].branches (concat): what is concatenated may differ in channels alone, "
            "but paths[0] gives [4, 6, 6], paths[1] gives [4, 3, 3]",
        ),
        (
            (Branches(join="concat", paths=((L.Flatten(),), (conv(2),))),),
            "layers[0].branches (concat): what is concatenated may differ in features alone, "
            "but paths[0] gives [144], paths[1] gives [2, 6, 6]",
        ),
        (
            (Residual(layers=(conv(4), Branches(join="add", paths=((L.ReLU(), L.Linear(out_features=2)), ())))),),
            "layers[0].residual.layers[1].branches.paths[0][1] (linear): "
            "needs features, got shape [4, 6, 6]; put a flatten before it",
        ),
        (
            (Repeat(times=9, layers=(L.ReLU(), L.MaxPool2d(kernel_size=3))),),
            "layers[0].repeat.layers[1] (max_pool2d, round 2 of 9): kernel [3, 3] with padding [0, 0] does not fit",
        ),
    ],
)
def test_misfits_name_the_path_and_the_shapes(items: tuple[Item, ...], said: str) -> None:
    with pytest.raises(RequestError) as error:
        infer(network(*items))
    assert str(error.value).startswith(f"net: {said}")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Residual(layers=()), "layers must not be empty"),
        (lambda: Repeat(times=0, layers=(L.ReLU(),)), "times must be at least 1, got 0"),
        (lambda: Repeat(times=2, layers=()), "layers must not be empty"),
        (lambda: Branches(join="mul", paths=((), (L.ReLU(),))), "join must be add or concat, got 'mul'"),
        (lambda: Branches(join="add", paths=((L.ReLU(),),)), "paths must be at least 2, got 1"),
        (lambda: Branches(join="add", paths=((), ())), "paths may hold one empty path (the identity), not more"),
    ],
)
def test_what_a_nest_may_hold(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        make()  # type: ignore[operator]


def test_bounds_hold_before_anything_is_written_out() -> None:
    huge: Item = L.ReLU()
    for _ in range(8):
        huge = Repeat(times=10**9, layers=(huge,))
    with pytest.raises(ValueError, match="at most 1,000 are allowed"):
        network(huge)
    for _ in range(9):
        huge = Residual(layers=(huge,))
    with pytest.raises(ValueError, match="layers are nested 17 levels deep, at most 8"):
        network(huge)


def test_a_nest_survives_json() -> None:
    net = network(
        Repeat(times=2, layers=(BLOCK, L.BatchNorm2d())),
        Branches(join="concat", paths=((), (Residual(layers=(conv(4),), shortcut=(conv(4),)),))),
    )
    assert from_plain(Architecture, json.loads(json.dumps(to_plain(net)))) == net


def test_the_committed_records_still_hold_the_fingerprints_of_their_networks() -> None:
    seen = set()
    for file in sorted(REFERENCE.glob("*/records.jsonl")):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            if record["fingerprints"].get("architecture") and record["model"] not in seen:
                seen.add(record["model"])
                own = architecture_sha256(load_architecture(record["model"]))
                assert own == record["fingerprints"]["architecture"], record["model"]
    assert seen >= {"mlp", "lenet5", "cnn", "alexnet"}


def test_the_fingerprint_is_of_what_is_computed_not_of_how_it_is_written() -> None:
    chain = network(Repeat(times=2, layers=(conv(4), L.ReLU())))
    assert architecture_sha256(chain) == architecture_sha256(network(conv(4), L.ReLU(), conv(4), L.ReLU()))
    sums = network(BLOCK), network(Branches(join="add", paths=(BLOCK.layers, ())))
    assert len(set(map(architecture_sha256, sums))) == 1
    others = (
        network(Branches(join="concat", paths=(BLOCK.layers, ()))),
        network(Branches(join="add", paths=((), BLOCK.layers))),
        network(Residual(layers=(conv(4), L.ReLU(), conv(4)), shortcut=(L.ReLU(),))),
        network(*BLOCK.layers),
    )
    assert len(set(map(architecture_sha256, (*sums, *others)))) == 1 + len(others)
