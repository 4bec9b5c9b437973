"""Pictures come after the record and cost it nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.running.keeping import complete_last, keep, png
from results.record import Misclassified
from results.store import ResultSet, StoreError
from tests.harness.plans import dataset
from tests.results.records import record


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "L"), (6, "L"), (300, "L")])
def test_images_of_any_number_of_channels_have_a_picture(tmp_path: Path, channels: int, mode: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (channels, 5, 4), dtype=np.uint8)
    file = tmp_path / "picture.png"
    file.write_bytes(png(image))
    with Image.open(file) as picture:
        assert (picture.mode, picture.size) == (mode, (4, 5))
        assert np.array_equal(np.asarray(picture), image.transpose(1, 2, 0) if channels == 3 else image[0])


def test_a_picture_that_fails_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = ResultSet.create(tmp_path / "set", name="s", study={})
    made = record(dataset="tiny").model_copy(update={"misclassified": (Misclassified(index=3, true=0, predicted=1),)})

    def refuse(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(ResultSet, "save_images", refuse)
    assert keep(results, made, dataset()) == [f"{made.run_id}: no images for the gallery: no space left"]
    assert [row.run_id for row in results.rows()[0]] == [made.run_id]
    monkeypatch.undo()
    assert complete_last(results, {"tiny": dataset()}) == []
    assert results.image_file("tiny", 3).exists()


def test_a_record_that_cannot_be_written_is_no_small_thing(tmp_path: Path) -> None:
    results = ResultSet.create(tmp_path / "set", name="s", study={})
    (tmp_path / "set" / "set.json").unlink()
    with pytest.raises(StoreError):
        keep(results, record(dataset="tiny"), dataset())
