"""`python run_checks.py FILE ...`: emulate CUDA, run every `check_*` function of the files, print a JSON line for each.

An emulation ends with its process, so all checks share one that is not the process of pytest.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
import warnings
from pathlib import Path

import pytest

from amp_runtime.emulation import emulate


def main(paths: list[str]) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    emulate()
    warnings.simplefilter("error")
    for path in paths:
        spec = importlib.util.spec_from_file_location(Path(path).stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, check in list(vars(module).items()):
            if name.startswith("check_"):
                print(json.dumps({"check": f"{Path(path).stem}::{name}", "error": _error(check)}), flush=True)


def _error(check) -> str | None:
    try:
        check()
    except (Exception, pytest.fail.Exception):
        return traceback.format_exc()
    return None


main(sys.argv[1:])
