"""checkpoint.json: what a checkpoint says of itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from backends.contract import PRECISIONS
from results.record import Count, Figure, Fingerprints, Fraction, Name, PathName
from specs.recipe import MOST_EPOCHS

FORMAT: Literal[1] = 1


class Framing(BaseModel):
    """How a symbol sits in the training images, for scans to be brought into that form; the defaults are MNIST's.

    ``background`` is the lighter or darker side; ``symbol`` the longer side of the symbol's box as a share of the
    image's side; ``contrast`` how far ink and background are apart, of 255.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    background: Literal["dark", "light"] = "dark"
    symbol: Annotated[float, Field(gt=0, le=1)] = 20 / 28
    contrast: Annotated[float, Field(gt=0, le=255)] = 255.0


class CheckpointManifest(BaseModel):
    """The training that a checkpoint was taken from, after ``epochs`` epochs of those that recipe.yaml plans.

    ``fingerprints`` are those of the whole training up to here, from its first step on. ``dataset`` is as the user
    named it, ``dataset_from_here`` the way to it from the checkpoint's folder where it is a file or folder, ``framing``
    what its images look like. ``sha256`` has the digest of every file of the checkpoint but ``native``, of this one
    without it; those written before there were digests have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = FORMAT
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$")]
    backend: Name
    framework_version: Name | None = None
    dataset: PathName
    dataset_from_here: PathName | None = None
    limit_train: Count | None = None
    limit_test: Count | None = None
    seed: Count
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
    precision: Annotated[str, Field(pattern=f"^({'|'.join(PRECISIONS)})$")]
    fingerprints: Fingerprints
    framing: Framing = Framing()
    test_accuracy: Fraction | None = None
    test_loss: Figure = None
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] | None = None
