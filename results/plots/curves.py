"""Losses and accuracies as training goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from results.plots.style import WIDTH, legend, log_ticks, panels, short
from results.selection import Selection
from results.summary import Case
from results.trajectories import gaps, points, reference_of

if TYPE_CHECKING:
    from results.findings import Analysis

EQUAL = 1e-9
"""Losses closer than this are equal (float32 resolves no less) and leave a gap: a log axis has no zero."""


def loss(analysis: Analysis, selection: Selection, case: Case) -> Figure | None:
    """Training losses of runs that started alike, overlaid, and below how far each is from the reference.

    The curves must lie on one another: that is the point. The reference is NumPy where it ran, else the baseline.
    """
    runs = [(subject, record.curve) for subject, record in selection.at_common_start(case) if record.curve]
    runs = [(subject, curve) for subject, curve in runs if len(curve.first)]
    if not runs:
        return None
    reference = reference_of(runs, analysis.baseline)
    others = [pair for pair in runs if pair is not reference]

    figure = Figure(figsize=(WIDTH, 4.4 if others else 2.9), layout="constrained")
    axes = figure.subplots(2 if others else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 2] if others else [1])
    upper = axes[0, 0]
    for number, (subject, curve) in enumerate(runs):
        look = analysis.labels.look(subject.key)
        steps, losses = points(curve)
        # Curves that coincide would hide one another: the first is drawn widest and each next one narrower on top.
        width = 1.2 + 1.3 * (len(runs) - 1 - number)
        upper.plot(
            steps, losses, look.dash, color=look.colour, lw=width, label=short(analysis.labels.subject(subject.key))
        )
    upper.set(ylabel="training loss", xscale="log")
    for line in legend(figure, upper, "upper right").get_lines():
        line.set_linewidth(3)
    for subject, curve in others:
        look = analysis.labels.look(subject.key)
        steps, gap = gaps(curve, reference[1])
        gap[gap < EQUAL] = np.nan
        axes[1, 0].plot(steps, gap, look.dash, color=look.colour, lw=1.1, marker=".", ms=3)
    if others:
        name = short(analysis.labels.subject(reference[0].key), 16)
        axes[1, 0].set(ylabel=f"|loss − {name}|", xscale="log", yscale="log")
        log_ticks(axes[1, 0].yaxis)
    log_ticks(axes[-1, 0].xaxis)
    axes[-1, 0].set_xlabel("training step (log scale)")
    upper.set_title(short(analysis.labels.case(case.key), 80))
    return figure


def accuracy(analysis: Analysis, case: Case) -> Figure | None:
    """Test (else validation) accuracy per epoch, and against the seconds spent in training; the band spans the runs."""
    epochs = analysis.results.epochs
    epochs = epochs.assign(judged=epochs["test_accuracy"].fillna(epochs["validation_accuracy"]))
    epochs = epochs[epochs["judged"].notna()]
    figure, (left, right) = panels([2.9, 2.9], columns=2)
    right.sharey(left)
    drawn: set[str] = set()
    for subject in case.subjects:
        own = epochs[epochs["run_id"].isin(subject.ok["run_id"]) & epochs["set"].isin(subject.ok["set"])]
        if own.empty:
            continue
        drawn.add("test accuracy" if own["test_accuracy"].notna().any() else "validation accuracy")
        look = analysis.labels.look(subject.key)
        by_epoch = own.groupby("epoch")
        middle = by_epoch["judged"].median()
        lowest, highest = by_epoch["judged"].min(), by_epoch["judged"].max()
        seconds = by_epoch["elapsed_train_s"].median()
        for axes, x in ((left, middle.index.to_numpy(dtype=float)), (right, seconds.to_numpy())):
            axes.fill_between(x, lowest, highest, color=look.colour, alpha=0.15, lw=0)
            axes.plot(
                x,
                middle,
                look.dash,
                color=look.colour,
                marker=look.marker,
                label=short(analysis.labels.subject(subject.key)),
            )
    if not drawn:
        return None
    left.set(xlabel="epoch", ylabel=" or ".join(sorted(drawn)), title=short(analysis.labels.case(case.key), 40))
    left.set_xlim(left.dataLim.x0 - 0.5, left.dataLim.x1 + 0.5)  # wide enough for a tick even of a single epoch
    left.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    left.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.set(xlabel="training time (s)")
    right.set_xlim(left=0)
    right.tick_params(labelleft=False)
    legend(figure, left, "lower right")
    return figure
