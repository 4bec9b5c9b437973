"""No file, however malformed, gives a traceback, a hang or a burst of memory."""

import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from specs.architecture import Architecture
from specs.document import MOST_BYTES
from specs.initializers import DISTRIBUTIONS
from specs.loading import ARCHITECTURES, RECIPES, load_architecture, load_recipe
from specs.nest import ITEMS
from specs.optimizers import OPTIMIZERS
from specs.recipe import Preprocessing, Recipe
from specs.schedule import SCHEDULES
from tests.fuzz import accepts_or_refuses, fuzz

BUNDLED = [path.read_bytes() for folder in (ARCHITECTURES, RECIPES) for path in sorted(folder.glob("*.yaml"))]
TOKENS = [
    *(
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!python/name:os.system ",
        b"!!set ",
        b"!!binary ",
        b"? ",
        b"- ",
        b": ",
        b"[",
        b"]",
        b"{",
    ),
    *(
        b"}",
        b"|\n",
        b">-\n",
        b"%YAML 9.9\n",
        b"---\n",
        b"...\n",
        b"#",
        b"'",
        b'"',
        b"\\x",
        b"\\U0010FFFF",
        b"\t",
        b"\n",
    ),
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
        b".nan",
        b".inf",
        b"-1",
        b"0",
        b"1e999",
        b"9" * 400,
        b"99999999999",
    ),
]
SMALL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([*ITEMS, *OPTIMIZERS, *SCHEDULES, *DISTRIBUTIONS]),
)
FIELDS = {field.name for cls in (Architecture, Recipe, Preprocessing, *ITEMS.values()) for field in fields(cls)}
KEYS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(sorted(FIELDS)),
    st.sampled_from([*ITEMS, *OPTIMIZERS, *SCHEDULES, *DISTRIBUTIONS]),
)
TREES = st.recursive(SMALL, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=6))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A bundled file with a few bytes cut out, doubled or replaced."""
    content = draw(st.sampled_from(BUNDLED))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=4) | st.just(content[start:end] * 2))
        content = content[:start] + piece + content[end:]
    return content


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A bundled spec in which one value, somewhere, is another."""
    value = yaml.safe_load(draw(st.sampled_from(BUNDLED)))
    holder, key = value, draw(st.sampled_from(sorted(value)))
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.booleans()):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder)) if isinstance(holder, dict) else st.integers(0, len(holder) - 1))
    holder[key] = draw(TREES)
    return yaml.safe_dump(value, allow_unicode=draw(st.booleans())).encode()


def try_to_load(content: bytes) -> tuple[bool, bool]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_bytes(content)
        return (
            accepts_or_refuses(lambda: load_architecture(path)),
            accepts_or_refuses(lambda: load_recipe(path)),
        )


def test_the_bundled_files_themselves_are_accepted() -> None:
    assert all(any(try_to_load(content)) for content in BUNDLED)


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (b"[", b"a,"),
        (b"", b"{"),
        (b"", b"? "),
        (b"", b"#\n"),
        (b"a: &a [1,2]\nb: [", b"*a,"),
        (b"[", b"!a b,"),
        (b"name: a\ninput: [1, 9, 9]\nclasses: 2\nlayers:\n", b"  - dropout: {p: 0.1}\n"),
    ],
)
def test_a_file_as_large_as_is_allowed_is_read_or_refused_in_time(start: bytes, repeated: bytes) -> None:
    content = start + repeated * ((MOST_BYTES - len(start)) // len(repeated))
    assert try_to_load(content) == (False, False)


@fuzz
@given(st.one_of(mutated(), replaced()))
def test_almost_right(content: bytes) -> None:
    try_to_load(content)


@fuzz
@given(st.one_of(st.binary(max_size=400), TREES.map(lambda tree: yaml.safe_dump(tree).encode())))
def test_anything_at_all(content: bytes) -> None:
    try_to_load(content)


@fuzz
@given(st.lists(st.sampled_from(TOKENS) | st.sampled_from([b"a", b" ", b"b: "]), max_size=200).map(b"".join))
def test_nothing_but_syntax(content: bytes) -> None:
    try_to_load(content)
