"""Start calibration from this installation under any interpreter that has PyTorch: `PYTHON start.py OPTIONS`.

The project's interpreter need not have `amp_runtime`, and what it finds under that name may be the very code under
verification: so this package is loaded from here, and no path is added.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - before pathlib is loaded from anywhere
_OLDEST = (3, 11)
_PR_SET_PDEATHSIG, _SIGTERM = 1, 15


def _start() -> int:
    if sys.version_info < _OLDEST:
        sys.stderr.write(f"verify: calibration needs Python 3.11 or newer, and {sys.executable} is older\n")
        return 2
    sys.path[:] = [path for path in sys.path if path != _HERE]  # modules here are no top-level ones
    import importlib  # noqa: PLC0415 - as it must not find them

    _end_with_parent()
    _load_package()
    code: int = importlib.import_module("amp_runtime.calibration.command").main(sys.argv[1:])
    return code


def _load_package() -> None:
    import importlib.util  # noqa: PLC0415

    folder = os.path.dirname(_HERE)  # noqa: PTH120
    path = os.path.join(folder, "__init__.py")  # noqa: PTH118
    spec = importlib.util.spec_from_file_location("amp_runtime", path, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["amp_runtime"] = module
    spec.loader.exec_module(module)


def _end_with_parent() -> None:
    """Ask Linux to end this process when the one that started it has ended, however that came about."""
    if sys.platform.startswith("linux"):
        import ctypes  # noqa: PLC0415 - only there

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGTERM)


if __name__ == "__main__":
    sys.exit(_start())
