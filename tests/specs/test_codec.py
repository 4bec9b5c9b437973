"""One codec: what it writes it reads back, and what does not fit is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from backends.contract import SessionSpec
from harness.worker.job import TrainingJob
from specs.codec import Malformed, from_plain, later, to_plain
from specs.loading import architecture_names, load_architecture
from specs.optimizers import SGD, Adam, Optimizer
from specs.recipe import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int
    share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner
    many: tuple[Inner, ...] = ()
    pair: tuple[int, float] = (1, 2.0)
    place: Path | None = None
    word: Literal["a", "b"] = "a"
    sizes: dict[str, int] = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=SGD)


def test_a_field_that_came_later_is_written_only_where_it_is_not_at_its_default() -> None:
    @dataclass(frozen=True)
    class Grown:
        old: int = 1
        new: int | None = later(None)

    assert to_plain(Grown()) == {"old": 1}
    assert to_plain(Grown(new=2)) == {"old": 1, "new": 2}
    assert to_plain(Grown(new=0)) == {"old": 1, "new": 0}
    assert from_plain(Grown, {"old": 1}) == Grown()


def test_what_is_written_is_read_back() -> None:
    made = Outer(
        name="x",
        inner=Inner(size=1),
        many=(Inner(size=2, share=1.0), Inner(size=3)),
        place=Path("/tmp/x"),
        word="b",
        sizes={"a": 1},
        optimizer=Adam(learning_rate=0.5),
    )
    plain = to_plain(made)
    assert from_plain(Outer, json.loads(json.dumps(plain))) == made
    assert plain["optimizer"]["adam"]["learning_rate"] == 0.5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "Outer: name is missing"),
        ([], "Outer: list '[]' does not fit"),
        ({"name": "x", "inner": {"size": "1"}}, "Outer.inner.size: str '1' does not fit"),
        ({"name": "x", "inner": {"size": True}}, "Outer.inner.size: bool 'True' does not fit"),
        ({"name": "x", "inner": {"size": 1, "share": None}}, "Outer.inner.share: NoneType"),
        ({"name": "x", "inner": {"size": 1}, "colour": 1}, "Outer: no field is called 'colour'"),
        ({"name": "x", "inner": {"size": 1}, "many": [{"size": 1}, 2]}, "Outer.many[1]: int '2'"),
        ({"name": "x", "inner": {"size": 1}, "pair": [1]}, "Outer.pair: list '[1]'"),
        ({"name": "x", "inner": {"size": 1}, "word": "c"}, "Outer.word: str 'c'"),
        ({"name": "x", "inner": {"size": 1}, "sizes": {"a": "b"}}, "Outer.sizes.a: str 'b'"),
        ({"name": "x", "inner": {"size": 1}, "optimizer": {"sdg": {}}}, "nothing is called 'sdg' here; known: ada"),
    ],
)
def test_what_does_not_fit_is_named(data: object, said: str) -> None:
    with pytest.raises(Malformed) as refusal:
        from_plain(Outer, data)
    assert said in str(refusal.value)


@pytest.mark.parametrize("name", architecture_names())
def test_a_job_crosses_the_pipe(name: str) -> None:
    job = TrainingJob(
        spec=SessionSpec(architecture=load_architecture(name), optimizer=Adam(), threads=3, tuning="default"),
        data=Path("/data"),
        inputs=Path("/inputs"),
        epochs=3,
        batch_size=8,
        preprocessing=Preprocessing(mean=(0.1,), std=(0.3,)),
        keep=True,
    )
    assert from_plain(TrainingJob, json.loads(json.dumps(to_plain(job)))) == job
