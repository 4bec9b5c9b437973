from pathlib import Path

import pytest

from harness.datasets import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, in place of the user's."""
    root = tmp_path / "cache"
    monkeypatch.setattr(cache, "folder", lambda name: root / name)
    return root
