"""`python -m amp_runtime.emulation [--json]`: what autocast does to each operator, on CUDA and on the CPU."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from . import policy

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each operator that either table has."""
    parser = argparse.ArgumentParser(prog="python -m amp_runtime.emulation", description=__doc__)
    parser.add_argument("--json", action="store_true", help="as an object")
    options = parser.parse_args(arguments)
    rows = _rows()
    if options.json:
        print(json.dumps({name: {"cuda": cuda, "cpu": cpu} for name, cuda, cpu in rows}, indent=2))
        return 0
    width = max(len(name) for name, _, _ in rows)
    print(f"PyTorch {policy().torch_version}: {len(rows)} operators in either table; `-`: autocast leaves it alone")
    print(f"{'operator':{width}}  {'CUDA':20}  CPU")
    for name, cuda, cpu in rows:
        print(f"{name:{width}}  {cuda or '-':20}  {cpu or '-'}")
    return 0


def _rows() -> list[tuple[str, str | None, str | None]]:
    cuda, cpu = policy("cuda"), policy("cpu")
    names = sorted({*cuda.treatments, *cpu.treatments})
    return [(name, cuda.category(name), cpu.category(name)) for name in names]


if __name__ == "__main__":
    sys.exit(main())
