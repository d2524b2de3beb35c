"""Start the harness from our installation under a private name, before any path of the project is known.

Run as `PYTHON -P bootstrap.py REQUEST`. Nothing here may import `amp_runtime` by its name: the project under
verification may be a broken copy of it.
"""

from __future__ import annotations

import sys

STARTUP = frozenset(sys.modules)  # what every Python process has loaded before the first line of a program

import importlib  # noqa: E402
import types  # noqa: E402
from pathlib import Path  # noqa: E402

PRIVATE_NAME = "_verify_probe"


def start(request_path: str) -> int:
    package = types.ModuleType(PRIVATE_NAME)
    package.__path__ = [str(Path(__file__).resolve().parent.parent)]
    sys.modules[PRIVATE_NAME] = package
    main = importlib.import_module(f"{PRIVATE_NAME}.probes.main")
    code: int = main.run(request_path, STARTUP)
    return code


if __name__ == "__main__":
    sys.exit(start(sys.argv[1]))
