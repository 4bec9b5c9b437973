"""No IDX or .npz file, however malformed, gives a traceback, a hang or a burst of memory."""

import gzip
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets import cache, idx, load_dataset
from tests.fuzz import accepts_or_refuses, fuzz
from tests.harness.datasets.files import idx_bytes, small_data

SOUND = idx_bytes(small_data()["train_images"])


def _archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **small_data())
    return buffer.getvalue()


@pytest.fixture(scope="module", autouse=True)
def no_cache_of_the_users(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "folder", lambda name: root / name)
        yield


@st.composite
def mutated(draw: st.DrawFn, sound: bytes) -> bytes:
    """The sound file with some bytes cut out, doubled or replaced, headers more often than the rest."""
    content = sound
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, min(40, len(content))) | st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 8)))
        piece = draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b""]))
        content = content[:start] + piece + content[end:]
    return content


def read(content: bytes, name: str, reader) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return accepts_or_refuses(lambda: reader(path))


def test_the_sound_files_are_accepted() -> None:
    assert read(SOUND, "file", idx.read_images)
    assert read(gzip.compress(SOUND), "file.gz", idx.read_images)
    assert read(_archive(), "file.npz", load_dataset)


@fuzz
@given(mutated(SOUND) | st.binary(max_size=100))
def test_idx(content: bytes) -> None:
    read(content, "file", idx.read_images)
    read(content, "file", idx.read_labels)
    read(gzip.compress(content), "file.gz", idx.read_images)


@fuzz
@given(mutated(gzip.compress(SOUND)))
def test_gzip(content: bytes) -> None:
    read(content, "file.gz", idx.read_images)


@fuzz
@given(mutated(_archive()) | st.binary(max_size=100))
def test_npz(content: bytes) -> None:
    read(content, "file.npz", load_dataset)
