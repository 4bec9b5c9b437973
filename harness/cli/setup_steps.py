"""What ``setup`` does with one backend: say what it takes, then make its environment."""

from __future__ import annotations

from backends.registry import Registration
from harness.cli.setup_progress import SetupProgress
from harness.processes.downloads import LEAST_PIP, Package, able, told
from harness.processes.environments import in_running_interpreter
from harness.processes.managed import Environment, SetupInterrupted
from harness.processes.pins import VARIANTS, has_variant
from harness.processes.places import keep_variant
from specs.errors import RequestError
from specs.program import PROGRAM


class SettingUp:
    """Both steps end with a line on how it went; ``make`` does nothing where ``announce`` has failed.

    ``variant`` is what the user asked for, if anything.
    """

    def __init__(
        self, registration: Registration, variant: str | None, progress: SetupProgress, *, verify: bool
    ) -> None:
        self._registration = registration
        self._variant = variant
        self._progress = progress
        self._verify = verify
        self._environment = Environment(registration, variant)
        self._failed = False

    def announce(self) -> None:
        """Say how much must be downloaded, where anything must be made."""
        subject = self._registration.subject
        if in_running_interpreter(self._registration) or self._environment.ready():
            return
        if not able():
            self._progress.say(
                f"{subject}: how much must be downloaded is told with pip {LEAST_PIP} or later in this Python alone"
            )
            return
        say = self._progress.of(subject)
        say("resolving what is needed")
        try:
            packages = self._environment.resolved()
            self._check(packages)
        except RequestError as error:
            self._failed = True
            self._ended_by(error)
            return
        self._progress.finished(subject, told(packages))

    def make(self) -> bool:
        """Make the environment unless it is ready; False where that failed."""
        if self._failed:
            return False
        registration, subject = self._registration, self._registration.subject
        if in_running_interpreter(registration):
            self._progress.finished(subject, f"the running interpreter has {registration.framework}")
            return True
        try:
            new = self._environment.ensure(self._progress.of(subject), verify=self._verify)
            if self._variant is not None:
                keep_variant(registration.name, self._variant)
        except RequestError as error:
            self._ended_by(error)
            return False
        self._progress.finished(subject, ("ready" if new else "was ready") + self._which())
        return True

    def _ended_by(self, error: RequestError) -> None:
        said = str(error) if isinstance(error, SetupInterrupted) else f"failed: {error}"
        self._progress.finished(self._registration.subject, said)

    def stop(self) -> None:
        """End what is being done in another thread."""
        self._environment.stop()

    def _check(self, packages: list[Package]) -> None:
        """Nobody who asks for CPUs is given CUDA's gigabytes; who asks for nothing is told of them."""
        cuda = VARIANTS[1]
        if self._environment.variant == cuda or not has_variant(self._registration, cuda):
            return
        if not any(package.of_cuda for package in packages):
            return
        found = (
            f"the package index has the build of {self._registration.title} for CUDA, {told(packages)}; to have the "
            "one for CPUs, name the index of such builds to pip, as the framework's installation page says"
        )
        if self._variant is not None:
            raise RequestError(f"{found}; or take --variant {cuda}")
        self._progress.say(f"{self._registration.subject}: {found}, and type {PROGRAM} setup --variant {VARIANTS[0]}")

    def _which(self) -> str:
        """What is said of the variant that was asked for."""
        if self._variant is None:
            return ""
        same = "" if has_variant(self._registration, self._variant) else "; it has the same packages for all machines"
        return f", variant {self._environment.variant}{same}"
