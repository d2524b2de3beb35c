"""The pieces of work a child is given: modules, workloads, scripts, a share of the tests.

Standard library only, and no torch: it is loaded on both sides, in the child under a private name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleUnit:
    """A module to import first in a fresh process. `file` is relative to the root, `paths` extend sys.path."""

    name: str
    file: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadUnit:
    """One training run: `factory` is `module:name`.

    Args:
        on_cpu: no accelerator is to be seen.
        faults: an overflow and a batch with a NaN are planted, so that losses need not be finite.
        emulate: a CUDA device is emulated on the CPU.
    """

    factory: str
    amp: bool
    steps: int
    seed: int
    on_cpu: bool = False
    faults: bool = False
    emulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptUnit:
    """One run of a training script, as a user would start it.

    Args:
        target: the file, or with `module` the name that stands behind `python -m`.
        shown: the file as it was named, which becomes `sys.argv[0]`.
        folder: where it is started. Relative paths, of both, are below the root.
        mode: which of its runs this is; empty where it has only one.
        steps: after how many training steps it is ended; None: it runs to its own end.
        emulate: a CUDA device is emulated on the CPU.
    """

    target: str
    shown: str
    arguments: tuple[str, ...]
    folder: str
    module: bool = False
    mode: Literal["", "fp32", "amp"] = ""
    steps: int | None = None
    emulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which part of the tests one process runs: number `index`, from 0, of `of`."""

    index: int
    of: int


ALL = Share(index=0, of=1)
