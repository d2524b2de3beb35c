"""Decides what the command line of calibration asks for. No torch."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FORMATS = ("table", "json", "md")


class UsageError(ValueError):
    """The command line asks for what does not exist or cannot be combined: one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for.

    Args:
        device: `"cpu"`, `"cuda"` or `"cuda:1"`; None: CUDA where it is there.
        operations: None: all.
        load: a profile to show in place of measuring.
        output: folder of what is written; `"-"`: the one format goes to standard output, and nothing else does.
        root: the project's, whose `.verify/calibration` is the folder without `output`.
    """

    preset: str | None
    device: str | None
    quick: bool
    operations: tuple[str, ...] | None
    compiled: bool
    load: Path | None
    skip_platform_check: bool
    list_presets: bool
    output: str | None
    formats: tuple[str, ...]
    root: Path
    quiet: bool
    progress: bool


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        UsageError: it asks for what does not exist or cannot be combined.
    """
    given = _parser().parse_args(list(arguments))
    formats = _formats(given.format, load=given.load is not None, output=given.output)
    if given.load is not None and (given.preset or given.quick or given.operations or given.compiled or given.device):
        raise UsageError("--load measures nothing: leave out --preset, --quick, --operations, --compile, --device")
    return Options(
        preset=given.preset,
        device=given.device,
        quick=given.quick,
        operations=tuple(_listed(given.operations)) or None,
        compiled=given.compiled,
        load=given.load,
        skip_platform_check=given.skip_platform_check,
        list_presets=given.list_presets,
        output=given.output,
        formats=formats,
        root=given.root,
        quiet=given.quiet,
        progress=not (given.no_progress or given.quiet),
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m amp_runtime.calibration",
        description="Measure this machine, precision by precision.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--preset", metavar="NAME", help="whose theoretical peaks to take; without it, the device is recognised")
    add("--list-presets", action="store_true", help="list them, and say which are of this machine")
    add("--device", metavar="cpu|cuda[:N]", help="what to measure; default: CUDA where it is there, else the CPU")
    add("--quick", action="store_true", help="fewer sizes, about half a minute")
    add("--operations", action="append", default=[], metavar="NAMES", help="only these (repeatable or comma list)")
    add("--compile", dest="compiled", action="store_true", help="also fuse patterns by torch.compile, which takes long")
    add("--load", type=Path, metavar="FILE", help="show a profile in place of measuring")
    add("--skip-platform-check", action="store_true", help="take a preset or profile of another machine, and warn")
    add("--output", metavar="DIR", help="folder for profile and report; - prints the one format")
    add("--format", action="append", default=[], metavar="NAMES", help="table, json, md; default: all of them")
    add("--root", type=Path, default=Path(), metavar="DIR", help=argparse.SUPPRESS)
    add("-q", "--quiet", action="store_true", help="no progress and no table")
    add("--no-progress", action="store_true", help="no progress on stderr")
    return parser


def _formats(values: Sequence[str], *, load: bool, output: str | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_listed(values)))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"there is no format {name!r} of a calibration{near(name, FORMATS)}")
    if not names:
        shown_only = load and output is None
        names = ("table",) if shown_only or output == "-" else FORMATS
    if output == "-" and len(names) != 1:
        raise UsageError("--output - prints one document; choose one with --format")
    return names


def _listed(values: Iterable[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def near(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name as a question, or the list of all."""
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid: {', '.join(names)}"
