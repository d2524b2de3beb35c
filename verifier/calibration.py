"""What `verify calibrate` does: find the program that measures and the interpreter, start it, pass on how it ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.commands import load_for
from verifier.config import find_root
from verifier.errors import ExitCode, MachineError, PluginError, UsageError
from verifier.model.calibration import Calibrator
from verifier.plugins import load_plugins
from verifier.selection import MARKERS

if TYPE_CHECKING:
    from verifier.plugins import Plugins

_GRACE_S = 10.0
_OF_THE_PROGRAM = (ExitCode.PASS, ExitCode.USAGE, ExitCode.INTERNAL, ExitCode.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """The options of the command line, by the names that click gives them."""

    preset: str | None
    list_presets: bool
    device: str | None
    quick: bool
    operations: tuple[str, ...]
    compiled: bool
    load: Path | None
    skip_platform_check: bool
    output: str | None
    formats: tuple[str, ...]
    config_file: Path | None
    python: Path | None
    quiet: bool
    no_progress: bool


def run_calibrate(options: CalibrateOptions) -> int:
    """Measure this machine in a process of the project's interpreter, and return the exit code.

    Raises:
        UsageError: there is no such interpreter.
        PluginError: no plugin measures, or several do.
        MachineError: the process cannot be started, or did not end by itself.
    """
    plugins = load_plugins()
    calibrator = _calibrator(plugins)
    root, python = _project(options, plugins)
    command = [str(python), str(calibrator.program), *as_words(options), "--root", str(root)]
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise UsageError(f"{python} cannot be started: {error.strerror or error}; give --python another") from None
    try:
        code = process.wait()
    except KeyboardInterrupt:  # a terminal interrupts both
        _end(process)
        raise
    return _ended(code, calibrator)


def as_words(options: CalibrateOptions) -> list[str]:
    """Return the options as the program takes them; a value that looks like an option stays a value."""
    valued = [
        ("preset", options.preset),
        ("device", options.device),
        *(("operations", value) for value in options.operations),
        ("load", options.load),
        ("output", options.output),
        *(("format", value) for value in options.formats),
    ]
    flags = {
        "list-presets": options.list_presets,
        "quick": options.quick,
        "compile": options.compiled,
        "skip-platform-check": options.skip_platform_check,
        "quiet": options.quiet,
        "no-progress": options.no_progress,
    }
    words = [f"--{name}={value}" for name, value in valued if value is not None]
    return words + [f"--{name}" for name, given in flags.items() if given]


def _calibrator(plugins: Plugins) -> Calibrator:
    found = [one for brought in plugins.manager.hook.verifier_calibrators() for one in brought]
    if not found:
        raise PluginError("no plugin is installed that measures a machine; reinstall verify-amp so that it is found")
    only = found[0]
    if not isinstance(only, Calibrator):
        raise PluginError(f"a plugin returned {type(only).__name__} from verifier_calibrators, not a Calibrator")
    if len(found) > 1:
        names = ", ".join(str(getattr(one, "name", one)) for one in found)
        raise PluginError(f"several plugins measure machines ({names}); uninstall all but one")
    return only


def _project(options: CalibrateOptions, plugins: Plugins) -> tuple[Path, Path]:
    """Return the root, below which profiles lie, and the interpreter."""
    root = find_root(Path.cwd()) or find_root(Path.cwd(), markers=MARKERS) or Path.cwd()
    configured = ""
    if options.python is None or options.config_file is not None:
        config = load_for(root, options.config_file, plugins)
        root, configured = config.root, config.python or ""
    python = options.python or Path(configured or sys.executable)
    if not python.is_file():
        raise UsageError(f"{python}: there is no such interpreter")
    return root, python.absolute()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _ended(code: int, calibrator: Calibrator) -> int:
    if code in _OF_THE_PROGRAM:
        return code
    if code < 0:
        raise MachineError(
            f"the calibration was ended by {_signal(-code)}, perhaps for want of memory; no profile was written"
        )
    raise MachineError(f"the calibration by {calibrator.name} failed with exit code {code}; no profile was written")


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
