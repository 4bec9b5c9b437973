"""A gate as Markdown, for the summary of a workflow or a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from results.gate.outcome import Gate, Layers
from results.gate.rows import COLUMNS, rows, sentences

_SIGN = {"passed": "✅", "regression": "❌", "undecided": "❔"}
_MEANING = (
    "Changes are for the worse where they are above 0: more time per sample, more memory, accuracy lost. A figure "
    "passes where its whole interval is within the limit, and is a regression where the whole interval is beyond it."
)


def markdown(gate: Gate) -> str:
    """Verdict, table, what is to be said beside it, and the layers of what became slower."""
    parts = [f"## {_SIGN[gate.verdict]} {_plain(gate.headline)}", _table(COLUMNS, rows(gate))]
    parts += ["\n".join(f"- {_plain(sentence)}" for sentence in sentences(gate))]
    parts += [_layers(case.model, case.layers) for case in gate.cases if case.layers and case.layers.costs]
    parts += [_plain(gate.conditions), _MEANING]
    return "\n\n".join(filter(None, parts)) + "\n"


def _layers(model: str, layers: Layers) -> str:
    names = [f"**{_plain(cost.name)}**" if cost.slower else _plain(cost.name) for cost in layers.costs]
    lines = [
        (name, f"{cost.base_ms:.3g}", f"{cost.candidate_ms:.3g}")
        for name, cost in zip(names, layers.costs, strict=True)
    ]
    table = _table(("layer", "base, ms per batch", "candidate, ms per batch"), lines, escaped=True)
    return f"<details><summary>Layers of {_plain(model)}</summary>\n\n{table}\n\n</details>"


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]], *, escaped: bool = False) -> str:
    shown = [line if escaped else [_plain(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *shown])


def _plain(text: str) -> str:
    """A stranger's words say nothing in Markdown or HTML."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else "&amp;" if c == "&" else c for c in " ".join(text.split()))
