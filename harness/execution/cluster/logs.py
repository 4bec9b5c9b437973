"""What Dask would say of itself."""

from __future__ import annotations

import logging

LOGGED = logging.CRITICAL
"""What Dask says below that is told in the harness's own words, or is no matter of the user's."""


def be_quiet() -> None:
    """Have Dask not speak of what the harness tells."""
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(LOGGED)
