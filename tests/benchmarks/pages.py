"""Tables that are measured and stand in a page of the documentation."""

from __future__ import annotations

from pathlib import Path


def replace_between(page: Path, name: str, text: str) -> None:
    """Put ``text`` between the page's comments ``<!-- name: ... -->`` and ``<!-- /name -->``.

    Raises ValueError where the page has none.
    """
    content = page.read_text(encoding="utf-8")
    begin, end = content.find(f"<!-- {name}:"), content.find(f"<!-- /{name} -->")
    if begin < 0 or end < begin:
        raise ValueError(f"{page} has no place for {name}")
    begin = content.index("-->", begin) + len("-->")
    page.write_text(f"{content[:begin]}\n\n{text.strip()}\n\n{content[end:]}", encoding="utf-8")
