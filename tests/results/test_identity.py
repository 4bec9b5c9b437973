"""What makes two runs repeats of one training."""

from __future__ import annotations

import pytest

from results.identity import ABSENT, differences, trainings
from results.record import Fingerprints, Record, Specs
from tests.results.records import fault, record


def made(
    seed: int = 0, *, batch: int | None = 64, epochs: int = 3, schedule: str = "", weights: str = "", **choices: object
) -> Record:
    """A run whose command names its batch size and epochs, and whose inputs follow from them and the seed."""
    command = f"python -m harness run --backend torch --epochs {epochs} --model mlp --batch-size {batch} --seed {seed}"
    prints = Fingerprints(
        architecture="a", data="d", schedule=f"{batch} {epochs} {schedule} {seed}", initial_weights=f"{weights} {seed}"
    )
    fields = {"command": command, "fingerprints": prints, **choices}
    return record(str(fields.pop("backend", "torch")), seed=seed, **fields)  # type: ignore[arg-type]


def kinds(*records: Record) -> list[int]:
    """The trainings of these runs, counted in order."""
    found = trainings(records)
    return [list(dict.fromkeys(found)).index(one) for one in found]


def test_seeds_backends_and_repeats_are_of_one_training() -> None:
    assert kinds(made(0), made(1), made(0, backend="keras"), made(0, repeat=1)) == [0, 0, 0, 0]


@pytest.mark.parametrize("other", [{"batch": 128}, {"epochs": 4}, {"schedule": "other rate"}, {"weights": "other"}])
def test_other_content_under_the_same_names_is_another_training(other: dict[str, object]) -> None:
    assert kinds(made(), made(**other), made()) == [0, 1, 0]  # type: ignore[arg-type]


def test_a_name_alone_makes_no_other_training() -> None:
    assert kinds(made(), made(model="my-mlp", recipe="mine", dataset="folder")) == [0, 0]


def test_seeds_are_held_together_only_where_no_seed_contradicts() -> None:
    """Two learning rates under one name with seed 0: whose seed 1 is, nobody can say."""
    assert kinds(made(0), made(0, schedule="other rate"), made(1)) == [0, 1, 2]
    assert kinds(made(0), made(1), made(2)) == [0, 0, 0]


def test_the_fingerprint_of_the_training_holds_seeds_together() -> None:
    """Where it is recorded, names and command are not asked."""

    def of(seed: int, training: str, **choices: object) -> Record:
        one = made(seed, schedule=training, command=None, recipe=f"r{seed}", **choices)  # type: ignore[arg-type]
        return one.model_copy(update={"fingerprints": one.fingerprints.model_copy(update={"training": training})})

    assert kinds(of(0, "x"), of(1, "x"), of(0, "y"), of(1, "y")) == [0, 0, 1, 1]
    before = made(0, schedule="x")
    assert kinds(before, of(0, "x"), of(1, "x")) == [0, 0, 0], "the same inputs are the same training"


def test_differences_are_named() -> None:
    said = {name: (mine, its) for name, mine, its in differences(made(), made(batch=16, epochs=1))}
    assert said == {"batch_size": (64, 16), "epochs": (3, 1)}
    recipe = {"name": "a", "epochs": 3, "optimizer": {"kind": "sgd", "learning_rate": 0.1}}
    layers: list[dict[str, object]] = [{"conv2d": {"out_channels": 8}}, {"relu": {}}]
    first = made(specs=Specs(architecture={"name": "n", "layers": layers}, recipe=recipe))
    other = made(
        specs=Specs(
            architecture={"name": "other", "layers": [{"conv2d": {"out_channels": 16}}, {"tanh": {}}]},
            recipe=recipe | {"name": "b", "optimizer": {"kind": "sgd", "learning_rate": 0.2}},
        )
    )
    first, other = (one.model_copy(update={"train_samples": n}) for one, n in ((first, 100), (other, 200)))
    assert list(differences(first, other)) == [
        ("optimizer.learning_rate", 0.1, 0.2),
        ("layers[0].conv2d.out_channels", 8, 16),
        ("layers[1].relu", True, ABSENT),
        ("train_samples", 100, 200),
        ("layers[1].tanh", ABSENT, True),
    ]


def test_a_resumed_run_is_no_repeat_of_a_whole_one() -> None:
    assert kinds(made(0), made(1, resumed_from="x")) == [0, 1]


def test_a_run_that_died_early_belongs_where_its_names_fit() -> None:
    dead = fault("crashed").model_copy(update={"fingerprints": Fingerprints(), "command": made().command})
    assert kinds(made(), dead) == [0, 0]
    assert kinds(made(), dead, made(schedule="other rate")) == [0, 1, 2], "two fit"
    assert kinds(made(batch=128), dead) == [0, 1], "none fits"


def test_identities_do_not_depend_on_what_else_there_is() -> None:
    alone, beside = trainings([made(1)]), trainings([made(0, batch=128), made(0), made(1)])
    assert alone[0] == beside[2] == beside[1]
