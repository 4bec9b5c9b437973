"""How figures look: golden texts."""

from __future__ import annotations

import math
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.formatting import cell, duration, figure, interval, moment, plain, plain_lines, significant


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("train_samples_per_second", 15_812.3, "15,800 samples/s"),
        ("train_samples_per_second", 159_035.0, "159,000 samples/s"),
        ("train_samples_per_second", 310.4, "310 samples/s"),
        ("test_accuracy", 0.98215, "98.22 %"),
        ("macro_f1", 0.5, "50.00 %"),
        ("share_of_peak", 0.4612, "46 %"),
        ("share_of_peak", 0.00321, "0.32 %"),
        ("step_p50_ms", 4.1234, "4.12 ms"),
        ("first_step_s", 2.4, "2.40 s"),
        ("time_to_0.97_s", 12.345, "12.3 s"),
        ("peak_rss_mb", 1234.5, "1,234 MiB"),
        ("gflops", 38.06, "38.1 GFLOP/s"),
        ("matmul_peak_gflops", 339.0, "339 GFLOP/s"),
        ("train_ratio", 1.6249, "1.62×"),
        ("train_ratio", 1.01689, "1.017×"),
        ("test_loss", 0.069312, "0.06931"),
        ("accuracy_difference", -0.00167, "−0.17 points"),
        ("accuracy_difference", 0.0, "+0.00 points"),
        ("parameters", 61_706, "61,706"),
        ("train_samples_per_second", 0.0, "0 samples/s"),
        ("peak_rss_mb", None, "–"),
        ("test_accuracy", math.nan, "–"),
        ("parameters", pd.NA, "–"),
    ],
)
def test_figures_with_their_units(column: str, value: object, said: str) -> None:
    assert figure(column, value) == said


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0, 3, "0"),
        (999.6, 3, "1,000"),
        (0.99951, 3, "1.00"),
        (123_456, 3, "123,000"),
        (0.00012345, 3, "0.000123"),
        (0.0000123, 3, "1.23e-05"),
        (-1.5, 2, "-1.5"),
        (math.inf, 3, "inf"),
    ],
)
def test_significant_digits(value: float, digits: int, said: str) -> None:
    assert significant(value, digits) == said


def test_intervals() -> None:
    assert interval("train_samples_per_second", 15_200, 16_050) == "15,200–16,000"
    assert interval("accuracy_difference", -0.001, 0.002) == "−0.10 to +0.20"
    assert interval("peak_rss_mb", math.nan, 3.0) == ""
    assert interval("first_step_s", 2.4, 2.4) == "2.40–2.40"


def test_durations_and_moments() -> None:
    assert [duration(s) for s in (0.213, 3.14159, 45.67, 185, 7440, 59.99)] == [
        "0.21 s", "3.1 s", "45.7 s", "3 min 5 s", "2 h 4 min", "60.0 s",
    ]  # fmt: skip
    assert moment("2026-03-01T08:00:59Z") == "2026-03-01 08:00 UTC"
    assert moment("2026-03-01T08:00:59.123Z") == "2026-03-01 08:00 UTC"
    assert moment("\x1b[31mnever") == "never"


def test_cells_say_what_is_absent() -> None:
    assert cell("test_accuracy", None) == "–"
    assert cell("test_accuracy", 0.0) == "0.00"
    assert cell("noisy", True) == "yes"


def test_strangers_words_are_harmless() -> None:
    assert plain("\x1b[2J\x1b]0;title\x07evil\x1b[31m\n name\u202e\u200b") == "evil name"
    assert plain("a" * 600).endswith("…")
    assert plain_lines("a\r\n\tb\x1b[1m\x00\nc") == "a\n    b\nc"


@given(st.text(st.characters(), max_size=300))
def test_plain_text_has_nothing_hidden(text: str) -> None:
    for said in (plain(text), plain_lines(text)):
        assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in said)
        assert "\x1b" not in said
    assert "\n" not in plain(text)
