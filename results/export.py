"""Tables as files: CSV for spreadsheets, Parquet for notebooks."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from results.files import write_atomic
from results.formatting import plain

_FORMULA = ("=", "+", "-", "@", "|", "%")
_CELL = 32_000  # characters; spreadsheets take 32,767


def write_tables(folder: Path, tables: dict[str, pd.DataFrame], *, safe: str = "") -> list[Path]:
    """Write each table as NAME.csv and NAME.parquet, whole or not at all; returns the files. Raises StoreError."""
    written = []
    for name, table in tables.items():
        for suffix, content in (("csv", csv(table)), ("parquet", parquet(table))):
            file = folder / f"{name}.{suffix}"
            write_atomic(file, content, safe=safe)
            written.append(file)
    return written


def csv(table: pd.DataFrame) -> str:
    """CSV with harmless text: no control characters, and an apostrophe before what would be a formula."""
    return neutral(table).to_csv(index=False, lineterminator="\n")


def parquet(table: pd.DataFrame) -> bytes:
    """Parquet with the table's own types and nothing changed: a notebook runs no formulas."""
    stream = io.BytesIO()
    table.to_parquet(stream, index=False)
    return stream.getvalue()


def neutral(table: pd.DataFrame) -> pd.DataFrame:
    """The table with dangerous text made harmless; numbers stay numbers."""
    safe = table.copy()
    for column in safe.columns:
        if not (pd.api.types.is_numeric_dtype(safe[column]) or pd.api.types.is_datetime64_any_dtype(safe[column])):
            texts = {value for value in safe[column] if isinstance(value, str)}
            changed = {text: to for text in texts if (to := _neutral_cell(text)) != text}
            if changed:  # few columns have dangerous text, and few texts are distinct
                safe[column] = safe[column].replace(changed)
    return safe.rename(columns=_neutral_cell)


def _neutral_cell(value: str) -> str:
    text = plain(value, _CELL)
    return f"'{text}" if text.startswith(_FORMULA) else text
