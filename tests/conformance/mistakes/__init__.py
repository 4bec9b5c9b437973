"""Mistakes planted in the real adapters, as patches of their source: the kinds that a refactoring makes."""

from __future__ import annotations

from itertools import zip_longest

from tests.conformance.mistakes.in_jax import IN_JAX
from tests.conformance.mistakes.in_keras import IN_KERAS
from tests.conformance.mistakes.in_mindspore import IN_MINDSPORE
from tests.conformance.mistakes.in_paddle import IN_PADDLE
from tests.conformance.mistakes.in_torch import IN_TORCH
from tests.conformance.mistakes.patch import Mistake

MISTAKES: tuple[Mistake, ...] = tuple(
    mistake
    for row in zip_longest(IN_TORCH, IN_KERAS, IN_PADDLE, IN_MINDSPORE, IN_JAX)
    for mistake in row
    if mistake is not None
)
"""All of them, one of each framework by turns."""
