"""Decides what `verify calibrate` does: measure or load, check whose machine it is, show, write. Returns exit codes.

torch is only loaded where something is measured.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amp_runtime.calibration import roofline
from amp_runtime.calibration.codec import ProfileError
from amp_runtime.calibration.finding import FOLDER, of_another_machine
from amp_runtime.calibration.listing import list_presets
from amp_runtime.calibration.machine import machine_class, this_machine
from amp_runtime.calibration.options import Options, UsageError, parse
from amp_runtime.calibration.profile_files import load_profile, profile_text, replace_file, save_profile
from amp_runtime.calibration.report import report
from amp_runtime.calibration.rows import unsteady
from amp_runtime.calibration.table import table

if TYPE_CHECKING:
    from amp_runtime.calibration.schema import HardwareCalibration

UNSTEADY = ".unsteady"
_DONE, _USAGE, _INTERNAL, _INTERRUPTED = 0, 2, 3, 130


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; what went wrong is one sentence on standard error."""
    try:
        options = parse(arguments)
        if options.list_presets:
            _say(list_presets(this_machine()))
            return _DONE
        profile = _loaded(options) if options.load is not None else _measured(options)
        _deliver(profile, options)
    except (UsageError, ProfileError) as error:
        return _refuse(str(error), _USAGE)
    except OSError as error:
        return _refuse(_os_error(error), _INTERNAL)
    except KeyboardInterrupt:
        return _refuse("interrupted", _INTERRUPTED)
    except Exception:
        sys.stderr.write(traceback.format_exc())
        return _refuse("calibration itself failed; nothing was written", _INTERNAL)
    return _DONE


def _loaded(options: Options) -> HardwareCalibration:
    assert options.load is not None
    try:
        profile = load_profile(options.load)
    except FileNotFoundError:
        raise UsageError(f"{options.load}: there is no such profile; `verify calibrate` measures one") from None
    problems = of_another_machine(profile)
    if not problems:
        return profile
    if not options.skip_platform_check:
        raise UsageError(
            f"{options.load} was not measured here: {problems[0]}; --skip-platform-check shows it all the same"
        )
    about = profile.metadata
    warning = f"shown on another machine: {problems[0]}"
    return replace(profile, metadata=replace(about, warnings=(*about.warnings, warning)))


def _measured(options: Options) -> HardwareCalibration:
    try:
        from amp_runtime.calibration import session  # noqa: PLC0415 - which needs torch, and may not be there
    except ImportError as error:
        missing = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{sys.executable} cannot import what measures ({missing}); give --python an interpreter with PyTorch"
        ) from None
    return session.measure(options)


def _deliver(profile: HardwareCalibration, options: Options) -> None:
    """Write the documents that are files, then show the table and say where they are."""
    if options.output == "-":
        _say(_document(profile, options.formats[0]))
        return
    written = _written(profile, options)
    if not options.quiet:
        shown = [table(profile)] if "table" in options.formats else []
        places = [f"{kind}: {_short(path)}" for kind, path in written]
        if any(UNSTEADY in path.name for _, path in written):
            places.append("the profile of a steady run is there, and stays in its place")
        _say("\n\n".join(part for part in (*shown, "\n".join(places)) if part))


def _document(profile: HardwareCalibration, form: str) -> str:
    if form == "json":
        return profile_text(profile).rstrip("\n")
    if form == "md":
        return report(profile, picture=None, no_picture="standard output has no files beside it").rstrip("\n")
    return table(profile)


def _written(profile: HardwareCalibration, options: Options) -> list[tuple[str, Path]]:
    """Write picture, report and profile, the profile last: who finds it finds the others of the same run."""
    folder = options.root / FOLDER if options.output is None else Path(options.output)
    name = _name(profile, folder)
    written = []
    if "md" in options.formats:
        picture = f"{name}-roofline.svg"
        why_not = roofline.undrawable(profile)
        if why_not is None:
            replace_file(folder / picture, roofline.draw(profile))
        text = report(profile, picture=picture if why_not is None else None, no_picture=why_not or "")
        replace_file(folder / f"{name}.md", text.encode("utf-8", "backslashreplace"))
        written.append(("report", folder / f"{name}.md"))
    if "json" in options.formats:
        save_profile(profile, folder / f"{name}.json")
        written.append(("profile", folder / f"{name}.json"))
    return written


def _name(profile: HardwareCalibration, folder: Path) -> str:
    """Return the name of the files: another one where a run on an unsteady machine would replace a steady profile."""
    name = profile.metadata.machine_class or machine_class()
    try:
        keeps = unsteady(profile) and not unsteady(load_profile(folder / f"{name}.json"))
    except (ProfileError, OSError):
        keeps = False
    return f"{name}{UNSTEADY}" if keeps else name


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)


def _os_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}; nothing is proven"


def _say(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def _refuse(text: str, code: int) -> int:
    sys.stderr.write(f"verify: {' '.join(text.split())}\n")
    return code
