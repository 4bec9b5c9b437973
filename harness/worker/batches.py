"""How a pass over the data is cut into batches: full ones, then the rest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batches:
    """The batches of one pass over so many samples, at most ``size`` in each."""

    samples: int
    size: int

    @property
    def full(self) -> int:
        """How many hold ``size`` samples."""
        return self.samples // self.size

    @property
    def rest(self) -> int:
        """Samples of the smaller batch at the end; 0 where there is none."""
        return self.samples % self.size

    @property
    def steps(self) -> int:
        """Optimizer steps: the rest makes one too."""
        return self.full + (self.rest > 0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Each size that occurs, the largest first."""
        return (*([self.size] if self.full else []), *([self.rest] if self.rest else []))
