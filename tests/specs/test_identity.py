"""Fingerprints that records hold: what is added to specs later must not move them."""

from __future__ import annotations

from specs.identity import architecture_sha256, recipe_sha256
from specs.loading import load_architecture, load_recipe


def test_the_fingerprints_of_the_first_records_stand() -> None:
    assert architecture_sha256(load_architecture("lenet5")).startswith("6aaf2d96cdfd9746")
    assert architecture_sha256(load_architecture("resnet20")).startswith("329281ce3e3f8a4d")
    assert recipe_sha256(load_recipe("lenet5_augmented")).startswith("a831b14366815045")
