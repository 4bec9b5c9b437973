"""NAME@VERSION has one spelling, and what is none is refused."""

import pytest

from specs.errors import RequestError
from specs.versioned import Versioned, is_version, version_order


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("keras", "keras"),
        ("keras@3.12.0", "keras@3.12.0"),
        ("keras@3.12", "keras@3.12.0"),
        (" keras @ 3 ", "keras@3.0.0"),
        ("mindspore@2.7.1.post1", "mindspore@2.7.1.post1"),
        ("paddle@3.0rc1", "paddle@3.0.0rc1"),
        ("torch@2.13.0+CPU", "torch@2.13.0+cpu"),
        ("jax@0.9.0.1", "jax@0.9.0.1"),
    ],
)
def test_one_spelling(text: str, written: str) -> None:
    assert str(Versioned.parse(text)) == written
    assert Versioned.parse(written) == Versioned.parse(text)


@pytest.mark.parametrize("text", ["keras@", "@3.12.0", "keras@latest", "keras@>=3", "keras@3.*", "keras@3@4", "a@../x"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="a version is written whole"):
        Versioned.parse(text)


def test_a_build_counts_only_where_it_is_wanted() -> None:
    assert is_version("2.13.0", "2.13.0+cpu")
    assert is_version("2.13.0+cpu", "2.13.0+cpu")
    assert not is_version("2.13.0+cpu", "2.13.0")
    assert not is_version("2.1.0", "2.13.0")
    assert not is_version("2.13.0", None)


def test_versions_are_in_order_of_their_numbers() -> None:
    assert sorted(["2.10.0", "", "2.8.0", "2.8.0rc1"], key=version_order) == ["", "2.8.0", "2.8.0rc1", "2.10.0"]
