"""``setup``: make the environments of the backends."""

import sys
from typing import Annotated

import typer


def setup(
    backends: Annotated[list[str] | None, typer.Argument(help="Which; default: all.", show_default=False)] = None,
) -> int:
    """Make each backend's own virtual environment, or repair it; nothing is done where it is ready.

    Of the backends that are named the framework is imported to see whether they are.

    Example: `python -m harness setup torch paddle`
    """
    from concurrent.futures import ThreadPoolExecutor

    from backends.registry import BACKENDS, Registration, find
    from harness.cli.setup_progress import SetupProgress
    from harness.measuring.machine import default_threads
    from harness.processes.environments import in_running_interpreter
    from harness.processes.managed import Environment, Interrupted
    from specs.errors import RequestError

    chosen = list(dict.fromkeys(map(find, backends))) if backends else list(BACKENDS.values())
    environments = {registration.name: Environment(registration) for registration in chosen}
    with SetupProgress() as progress:

        def ensure(registration: Registration) -> bool:
            if in_running_interpreter(registration):
                progress.finished(registration.name, f"the running interpreter has {registration.framework}")
                return True
            try:
                made = environments[registration.name].ensure(progress.of(registration.name), verify=bool(backends))
            except Interrupted as error:
                progress.finished(registration.name, str(error))
                return False
            except RequestError as error:
                progress.finished(registration.name, f"failed: {error}")
                return False
            progress.finished(registration.name, "ready" if made else "was ready")
            return True

        # pip unpacks and compiles on one processor.
        with ThreadPoolExecutor(max_workers=default_threads()) as pool:
            try:
                outcomes = list(pool.map(ensure, chosen))
            except BaseException:
                for environment in environments.values():
                    environment.stop()
                pool.shutdown(cancel_futures=True)
                raise
    for environment in environments.values():
        for folder in environment.superseded():
            print(f"not used by this version, and may be deleted: {folder}", file=sys.stderr)
    return 0 if all(outcomes) else 1
