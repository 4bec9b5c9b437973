"""``python -m harness``: the command line."""

import os
import sys


def main() -> None:
    """Run the command line with the harness's own modules first on the path and the current folder not on it.

    ``python -m`` puts the current folder first, and so does an empty entry of PYTHONPATH: a ``results.py``, ``yaml.py``
    or ``platform.py`` that happens to lie there would be imported in place of the real one.
    """
    code = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""
    sys.path[:] = [code, *(entry for entry in sys.path if entry not in ("", here, code))]
    from harness.cli import main

    main()


if __name__ == "__main__":
    main()
