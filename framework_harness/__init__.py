"""The one package that an installation adds: it finds the harness's own folders and has them imported before all else.

In a wheel ``specs``, ``backends``, ``harness`` and ``results`` lie in this folder, in a checkout beside it. Under those
names they must not lie in site-packages, where they would meet other people's modules; so they come first on the path
only when this program runs, or when ``load`` is called.
"""

import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))
_CODE = _HERE if os.path.isdir(os.path.join(_HERE, "harness")) else os.path.dirname(_HERE)


def main() -> None:
    """The console script ``harness``: as ``python -m harness`` in a checkout."""
    sys.path.insert(0, _CODE)
    from harness.__main__ import main

    main()


def load(*paths):  # type: ignore[no-untyped-def]  # the types are those of results.load
    """``results.load`` for a notebook beside an installed harness."""
    if _CODE not in sys.path:
        sys.path.insert(0, _CODE)
    from results import load

    return load(*paths)
