"""Decides what `verify doctor` says of running code: torch, pytest and the isolation of the project's interpreter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.api import LEVELS, Ability, StageError, State, VerifierError, hookimpl, task_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stages._probe.limits import Limits
    from verifier.api import Config, Json

_STAGES = ("integration", "performance")
_ISOLATE = (
    "files: Linux 5.19 or newer with Landlock among its security modules (/sys/kernel/security/lsm); network: "
    "user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0; containers: their seccomp profile)"
)
_ASK_S = 60.0
_HARNESS_S = 20.0
_OLDEST = (3, 11)
_IMPORTS_TORCH = re.compile(rb"^[ \t]*(?:import|from)[ \t]+torch\b", re.MULTILINE)
# Two lines: what the metadata says, then what importing torch gives. The second may never come.
_QUESTION = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None
versions = {name: version(name) for name in ("torch", "pytest", "psutil")}
print(json.dumps({"python": list(sys.version_info[:3]), "versions": versions}), flush=True)
if versions["torch"]:
    try:
        import torch
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        said = {"torch": str(torch.__version__), "devices": [torch.cuda.get_device_name(n) for n in range(count)]}
    except BaseException as error:
        said = {"error": type(error).__name__ + ": " + str(error)}
    print(json.dumps(said), flush=True)
"""


@hookimpl
def verifier_machine(config: Config, python: Path) -> Iterable[Ability]:
    with tempfile.TemporaryDirectory(prefix="verify-doctor-") as folder:
        scratch = Path(folder)
        answer = ask(python, scratch)
        if isinstance(answer, str):
            text = f"{python}: {answer}"
            return (Ability(name="interpreter", state=State.MISSING, text=text, remedy=_REPAIR, stops=_STAGES),)
        needs_torch, needs_pytest = _needs(config)
        return (
            *_interpreter(python, answer),
            _torch(answer, needed=needs_torch),
            _pytest(answer, needed=needs_pytest),
            isolation(python, scratch),
        )


_REPAIR = "give --python, or `python` in the configuration, an interpreter that starts"


def ask(python: Path, scratch: Path, *, limit_s: float = _ASK_S) -> dict[str, Any] | str:
    """Return what the interpreter says of itself, or why it says nothing. torch is imported in that process only."""
    from stages._probe.limits import clean_environment  # noqa: PLC0415 - `verify doctor` alone comes here

    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _QUESTION],
            capture_output=True,
            timeout=limit_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env=clean_environment(os.environ, scratch),
            cwd=scratch,
        )
        output, late = done.stdout, False
    except subprocess.TimeoutExpired as error:
        output, late = error.stdout or b"", True
    except OSError as error:
        return f"cannot be started: {error.strerror or error}"
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.startswith("{")]
    try:
        answers = [json.loads(line) for line in lines]
        first = dict(answers[0])
        second = answers[1] if len(answers) > 1 else {}
    except (ValueError, IndexError, TypeError):
        return f"did not answer within {limit_s:g} s" if late else "did not answer as a Python would"
    if not second and late:
        second = {"error": f"importing it did not end within {limit_s:g} s"}
    elif not second:
        second = {"error": "importing it ended the process"}
    return first | {"import": second}


def _needs(config: Config) -> tuple[bool, bool]:
    """Say whether the tasks need torch, and whether they need pytest."""
    tasks = tuple(config.tasks.values())
    try:
        files = [file for task in tasks for file in task_sources(config, task).python()]
    except VerifierError:
        files = []
    uses = any(_IMPORTS_TORCH.search(file.data or b"") for file in files)
    return uses, any(task.tests for task in tasks)


def _interpreter(python: Path, answer: dict[str, Any]) -> Iterable[Ability]:
    version = tuple(answer["python"])
    text = f"{'.'.join(map(str, version))} of the verified project, {python}"
    if version < _OLDEST:
        remedy = "the harness needs Python 3.11 or newer there; static stages read older code too"
        yield Ability(name="interpreter", state=State.MISSING, text=text, remedy=remedy, stops=_STAGES)
    else:
        yield Ability(name="interpreter", state=State.WORKS, text=text)


def _torch(answer: dict[str, Any], *, needed: bool) -> Ability:
    version, imported = answer["versions"].get("torch"), answer["import"]
    stops = _STAGES if needed else ()
    if version is None:
        text = "not installed there" + (", and the tasks import it" if needed else "; no task imports it")
        remedy = "pip install torch" if needed else ""
        state = State.MISSING if needed else State.LIMITED
        return Ability(name="torch", state=state, text=text, remedy=remedy, stops=stops)
    if "error" in imported:
        text = f"{version} is installed, but {_one_line(imported['error'])}"
        return Ability(name="torch", state=State.MISSING, text=text, remedy="reinstall torch", stops=stops)
    devices = imported.get("devices") or []
    if devices:
        return Ability(name="torch", state=State.WORKS, text=f"{imported['torch']}, CUDA: {', '.join(devices)}")
    return Ability(
        name="torch", state=State.WORKS, text=f"{imported['torch']}, no CUDA device: training runs on the CPU"
    )


def _pytest(answer: dict[str, Any], *, needed: bool) -> Ability:
    version = answer["versions"].get("pytest")
    if version is not None:
        return Ability(name="pytest", state=State.WORKS, text=version)
    text = "not installed there" + (", and tasks declare tests" if needed else "; no task declares tests")
    if not needed:
        return Ability(name="pytest", state=State.LIMITED, text=text)
    return Ability(name="pytest", state=State.MISSING, text=text, remedy="pip install pytest", stops=_STAGES[:1])


def isolation(python: Path, scratch: Path) -> Ability:
    """Start the real harness with nothing to do, and say which layers stand between it and this machine."""
    root = scratch / "project"
    root.mkdir()
    try:
        from stages._probe.client import run_probe  # noqa: PLC0415 - it may not even load on this platform
        from stages._probe.limits import Limits, default_memory_bytes  # noqa: PLC0415
        from stages._probe.work import Work  # noqa: PLC0415

        limits = Limits(time_s=_HARNESS_S, phase_s=_HARNESS_S, memory_bytes=default_memory_bytes())
        report = run_probe(Work(probe="imports", root=root, python=python, paths=()), limits)
    except StageError as error:
        return Ability(name="isolation", state=State.MISSING, text=_one_line(str(error)), stops=_STAGES)
    except (AttributeError, OSError, ValueError) as error:  # a platform without sysconf, /proc or pipes as on POSIX
        return Ability(name="isolation", state=State.MISSING, text=_one_line(repr(error)), stops=_STAGES)
    return _isolated(report.layers, limits)


def _isolated(layers: Mapping[str, Json], limits: Limits) -> Ability:
    text = (
        f"level {layers['level']}; Landlock: {layers['landlock']}; namespaces: {layers['namespaces']}; "
        f"file writes: {layers['file-writes']}; network: {layers['network']}; "
        f"memory limit {limits.memory_bytes / 2**30:.1f} GiB; "
        f"held when tried: {', '.join(name.replace('-', ' ') for name, on in layers.items() if on is True)}"
    )
    if absent := [name.replace("-", " ") for name, on in layers.items() if on is False]:
        text += f"; not here: {', '.join(absent)}"
    if layers["level"] == [*LEVELS][-1]:
        return Ability(name="isolation", state=State.WORKS, text=text)
    return Ability(name="isolation", state=State.LIMITED, text=text, remedy=_ISOLATE)


def _one_line(text: str, limit: int = 200) -> str:
    return " ".join(text.split())[:limit]
