"""The one error that means "the request was wrong"."""

import difflib
from collections.abc import Iterable


class RequestError(ValueError):
    """The user's request cannot be carried out as stated.

    The message is one line that says what, where and how to fix it; the command line prints it
    without a traceback and exits with status 2.
    """


def unknown(kind: str, name: str, choices: Iterable[str], *, where: str = "") -> RequestError:
    """A RequestError for a name that is not among ``choices``, naming the nearest one."""
    names = sorted(choices)
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    nearest = next((n for n in names if near and n.lower() == near[0]), None)
    hint = f"did you mean {nearest!r}?" if nearest else ""
    known = f"known: {', '.join(names)}"
    prefix = f"{where}: " if where else ""
    return RequestError(f"{prefix}unknown {kind} {name!r}; {hint + ' ' if hint else ''}({known})")
