"""The configuration and the tasks it declares, already checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.model.finding import Severity

if TYPE_CHECKING:
    from verifier.model.requirement import Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One acceptance line and the gates, as `stage:gate`, that prove it."""

    text: str
    proven_by: tuple[str, ...]


LAUNCHERS = {"torchrun": "torch.distributed.run"}  # programs that are nothing but a module


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A training script: the file and its arguments, and what is added to them for AMP and for FP32.

    Args:
        run: as after `python`: a file, or `-m` and a module; or as in a shell: `torchrun` and its arguments.
    """

    run: tuple[str, ...]
    amp: tuple[str, ...] = ()
    fp32: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module that is started; empty where it is a file."""
        return LAUNCHERS.get(self.run[0]) or ("".join(self.run[1:2]) if self.run[0] == "-m" else "")

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.run[2:] if self.run[0] == "-m" else self.run[1:]

    @property
    def file(self) -> str:
        """The script of the project, relative to its root: of a launcher, the first Python file among its arguments."""
        if not self.module:
            return self.run[0]
        named = next((argument for argument in self.arguments if argument.endswith(".py")), None)
        return named or f"{self.module.replace('.', '/')}.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What `verify run` runs: one command line, as the user gave it.

    Args:
        target: the script, absolute; with `module`, the name of a module.
        shown: the script as the user wrote it.
        folder: where the user stands.
        steps: after how many training steps it is ended; None: it runs to its own end.
        emulate: a CUDA device is emulated on the CPU.
    """

    target: str
    shown: str
    arguments: tuple[str, ...]
    folder: Path
    module: bool = False
    steps: int | None = None
    emulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is verified together: files by glob, tests, workload factories, acceptance criteria.

    Args:
        files: globs relative to the root.
        tests: test files or folders, relative to the root.
        test_processes: between how many pytest processes the files of the tests may be dealt out.
        workloads: `module:factory`.
        scripts: training scripts, each run in FP32 and under AMP.
        pass_env: environment variables that its code is given, besides those of the whole configuration.
        allow_network: whether its code may use the network; None: as the whole configuration says.
        requirements: what measurements must show; each becomes a gate.
        program: what `verify run` was asked to run; then nothing else of the task is.
    """

    name: str
    title: str
    files: tuple[str, ...]
    tests: tuple[str, ...] = ()
    test_processes: int = 1
    workloads: tuple[str, ...] = ()
    scripts: tuple[Script, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    program: Program | None = None
    acceptance: tuple[Criterion, ...] = ()
    pass_env: tuple[str, ...] = ()
    allow_network: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`[tool.verifier]`. `path` is the file it was read from; None where there is none."""

    root: Path
    path: Path | None = None
    source_roots: tuple[str, ...] = (".",)
    block_at: Severity = Severity.HIGH
    exclude: tuple[str, ...] = ()
    python: str | None = None
    pass_env: tuple[str, ...] = ()
    allow_network: bool = False
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
