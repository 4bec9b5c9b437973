"""The backends by name. Adding a framework: one line here, its folder and its requirements file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from specs.errors import RequestError, unknown
from specs.versioned import Versioned

if TYPE_CHECKING:  # the contract needs NumPy, and help texts that name the backends do without
    from backends.contract import Backend

REFERENCE = "numpy"
"""The backend that all others are compared with; far slower than they on convolutions."""

Manner = Literal["default", "recommended", "expert"]
"""In what manner a framework is used; all three compute the same.

"default": as the framework comes, what its first tutorial does. "recommended": public, documented API and the settings
that the framework's own guides name. "expert": whatever makes the same computation fastest, private kernels included.
"""
MANNERS: tuple[Manner, ...] = get_args(Manner)

REQUIREMENTS = Path(__file__).parent / "requirements"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Where a backend lives.

    ``adapter`` is "module:Class", imported only when asked for; ``framework`` is the module whose presence in an
    interpreter means that the framework is installed there, ``modules`` what else comes with it: none of them may be
    imported outside the backend's folder. ``packages`` are what an index calls the framework, where that is not the
    module's name; each of them that is named has its version. ``version`` is one that was named in place of the pinned one.
    """

    name: str
    title: str
    adapter: str
    framework: str
    aliases: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    version: str | None = None

    @property
    def subject(self) -> str:
        """NAME, or NAME@VERSION where one was named: what ``find`` takes."""
        return str(Versioned(self.name, self.version))

    @property
    def distributions(self) -> tuple[str, ...]:
        """The packages that a version of the framework is a version of."""
        return self.packages or (self.framework,)

    @property
    def requirements(self) -> Path:
        """The pinned requirements file of the backend's own environment."""
        return REQUIREMENTS / f"{self.name}.txt"

    @property
    def constraints(self) -> Path:
        """The versions of all that the requirements bring with them, for ``pip install --constraint``."""
        return REQUIREMENTS / f"{self.name}.constraints.txt"

    def create(self) -> Backend:
        """The adapter; imports its module, which imports no framework."""
        module, _, cls = self.adapter.partition(":")
        backend: Backend = getattr(import_module(module), cls)()
        return backend


# fmt: off
_REGISTERED = (
    Registration(name="torch", title="PyTorch", adapter="backends.torch.adapter:TorchBackend", framework="torch", aliases=("pytorch",)),
    Registration(name="keras", title="Keras", adapter="backends.keras.adapter:KerasBackend", framework="keras", aliases=("tensorflow", "tf"), modules=("tensorflow",)),
    Registration(name="paddle", title="PaddlePaddle", adapter="backends.paddle.adapter:PaddleBackend", framework="paddle", packages=("paddlepaddle", "paddlepaddle-gpu"), aliases=("paddlepaddle", "pp")),
    Registration(name="mindspore", title="MindSpore", adapter="backends.mindspore.adapter:MindSporeBackend", framework="mindspore", aliases=("ms",)),
    Registration(name="jax", title="JAX", adapter="backends.jax.adapter:JaxBackend", framework="jax", packages=("jax", "jaxlib"), modules=("jaxlib",)),
    Registration(name="numpy", title="NumPy", adapter="backends.numpy.adapter:NumpyBackend", framework="numpy", aliases=("np", "reference")),
)
# fmt: on

BACKENDS: dict[str, Registration] = {registration.name: registration for registration in _REGISTERED}


def frameworks() -> tuple[str, ...]:
    """The backends that are compared when none is named: all but the reference."""
    return tuple(name for name in BACKENDS if name != REFERENCE)


def alternatives() -> str:
    """All names as help texts have them: "torch, keras or numpy"."""
    *names, last = BACKENDS
    return f"{', '.join(names)} or {last}"


def find(name: str) -> Registration:
    """The registration of a backend by name or alias, in any case, or by NAME@VERSION.

    Raises RequestError naming the nearest.
    """
    wanted = Versioned.parse(name.lower())
    for registration in BACKENDS.values():
        if wanted.name == registration.name or wanted.name in registration.aliases:
            if wanted.version is None:
                return registration
            if wanted.name != registration.name:  # tensorflow is an alias of keras, and has versions of its own
                exact = f"{registration.name}@VERSION"
                raise RequestError(f"{name!r}: a version is one of {registration.title}, and written {exact}")
            return replace(registration, version=wanted.version)
    aliases = [alias for registration in BACKENDS.values() for alias in registration.aliases]
    raise unknown("backend", wanted.name, [*BACKENDS, *aliases])
