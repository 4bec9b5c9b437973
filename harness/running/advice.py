"""One sentence on what to do about a run that did not end well."""

import os

from harness.processes.launcher import STARTING, WorkerFailed
from specs.program import PROGRAM


def repair(backend: str, *, named: bool = False) -> str:
    """What mends a broken environment, or who; ``named``: the interpreter was given with --python."""
    variable = f"HARNESS_PYTHON_{backend.upper()}"
    if named or os.environ.get(variable):
        by = "given with --python" if named else f"named in {variable}"
        return f"The interpreter {by} is at fault: name another, or leave it out."
    return f"{PROGRAM} setup {backend} repairs the environment."


def advice(failure: WorkerFailed, *, backend: str, named: bool = False) -> str:
    """Advice for the status, exit code and signal of a failure; ``named`` as for ``repair``."""
    mend = repair(backend, named=named)
    match failure.status, failure.signal_name:
        case "timed_out", _:
            return "Give it more time with --timeout or --stall-timeout, or less work with --epochs or --limit-train."
        case "out_of_memory", _:
            return (
                "Use a smaller --batch-size or --limit-train, a higher --memory-limit, or a machine with more memory."
            )
        case "diverged", _:
            return "Lower the learning rate in the recipe, or check the scale of the pixels."
        case "unsupported", _ if failure.kind != "Unsupported":  # a name that the adapter missed
            return "Name another version of the framework, or leave this one out."
        case "unsupported", _:
            return "This framework lacks what was asked for; choose another --precision or --device, or leave it out."
        case "crashed", "SIGKILL":
            return "If the kernel's log (dmesg) names the process, memory ran out: use a smaller --batch-size."
        case "crashed", "SIGILL":
            return f"The framework's build uses instructions this CPU lacks: install another build of {backend}."
        case "crashed", _:
            if failure.doing == STARTING:
                return f"The worker did not come to its first word: {mend}"
            return f"See the end of the worker's log. If it repeats: {mend}"
        case _:
            if "ModuleNotFoundError" in failure.kind or "ImportError" in failure.kind:
                return f"The environment lacks a module: {mend}"
            return "The traceback in the record names the place; the worker's log has what the framework printed."
