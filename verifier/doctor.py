"""`verify doctor`: what this machine can and cannot verify, and why. Imports nothing that is only asked about."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier import __version__
from verifier.errors import ConfigError, ExitCode, PluginError, VerifierError
from verifier.model.machine import Ability, State
from verifier.model.task import Config

if TYPE_CHECKING:
    from collections.abc import Callable

    from verifier.model.stage import Stage
    from verifier.plugins import Plugins

_ASK_S = 10.0
_WIDTH = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found, and the exit code that follows."""

    abilities: tuple[Ability, ...]
    stages: tuple[Stage, ...]
    tasks: tuple[str, ...]
    plugins: tuple[str, ...]

    @property
    def exit_code(self) -> ExitCode:
        """PASS where all that the tasks need can run; USAGE where not even the configuration or the plugins load."""
        if not self.stages or any(ability.name == "configuration" and ability.stops for ability in self.abilities):
            return ExitCode.USAGE
        needed = {stage.name for stage in self.stages if self.tasks or not stage.runs_code}
        return ExitCode.BLOCK if needed & {name for item in self.abilities for name in item.stops} else ExitCode.PASS


def examine(load_plugins: Callable[[], Plugins], load: Callable[[Plugins], Config], python: Path | None) -> Examination:
    """Ask the machine, the configuration and every plugin.

    Args:
        python: `--python`; None: the one of the configuration, else the running one.
    """
    found = [_python(), _git()]
    try:
        plugins = load_plugins()
    except PluginError as error:
        found.append(Ability(name="plugins", state=State.MISSING, text=str(error)))
        return Examination(abilities=tuple(found), stages=(), tasks=(), plugins=())
    found.insert(1, _platform(plugins.stages))
    config, said = _configuration(load, plugins)
    found.append(said)
    interpreter = python or (Path(config.python) if config.python else Path(sys.executable))
    found += _asked_of_plugins(plugins, config, interpreter)
    return Examination(
        abilities=tuple(found), stages=plugins.stages, tasks=tuple(config.tasks), plugins=plugins.third_party
    )


def _asked_of_plugins(plugins: Plugins, config: Config, python: Path) -> list[Ability]:
    """Ask each plugin by itself: one that fails must not silence the others."""
    known: dict[str, Any] = {"config": config, "python": python}
    found: list[Ability] = []
    for implementation in plugins.manager.hook.verifier_machine.get_hookimpls():
        try:
            answer: Any = implementation.function(**{name: known[name] for name in implementation.argnames})
            found += [_checked(item) for item in answer]
        except Exception as error:
            text = f"its examination failed: {type(error).__name__}: {error}"
            found.append(Ability(name=implementation.plugin_name, state=State.MISSING, text=text))
    return found


def _checked(item: object) -> Ability:
    if not isinstance(item, Ability):
        raise TypeError(f"{type(item).__name__} is no Ability")
    return item


def _python() -> Ability:
    text = f"{platform.python_version()}, {sys.executable}"
    return Ability(name="python", state=State.WORKS, text=text)


def _platform(stages: Iterable[Stage]) -> Ability:
    here = f"{platform.system()} {platform.machine()}"
    if not hasattr(os, "fork"):
        return Ability(
            name="platform",
            state=State.LIMITED,
            text=f"{here}: static stages only",
            remedy="run the stages that run code on Linux",
            stops=tuple(stage.name for stage in stages if stage.runs_code),
        )
    if not sys.platform.startswith("linux"):
        return Ability(name="platform", state=State.LIMITED, text=f"{here}: every stage, with fewer isolation layers")
    return Ability(name="platform", state=State.WORKS, text=f"{here}: every stage")


def _git() -> Ability:
    git = shutil.which("git")
    missing = Ability(
        name="git",
        state=State.LIMITED,
        text="not found: reports name no commit, only the digests of the files",
        remedy="install git",
    )
    if git is None:
        return missing
    try:
        done = subprocess.run([git, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return missing
    return Ability(name="git", state=State.WORKS, text=done.stdout.strip().removeprefix("git version ") or git)


def _configuration(load: Callable[[Plugins], Config], plugins: Plugins) -> tuple[Config, Ability]:
    try:
        config = load(plugins)
    except VerifierError as error:
        problems = error.problems if isinstance(error, ConfigError) else (str(error),)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        wrong = Ability(
            name="configuration",
            state=State.MISSING,
            text=f"does not load: {problems[0]}{more}",
            remedy="correct it; `verify tasks` says every problem",
            stops=tuple(stage.name for stage in plugins.stages),
        )
        return Config(root=Path.cwd()), wrong
    if not config.tasks:
        text = f"{config.path.name if config.path else 'none'}: no task"
        remedy = "`verify init` writes a first one; `verify check PATH` needs none"
        return config, Ability(name="configuration", state=State.LIMITED, text=text, remedy=remedy)
    text = f"{config.path.name if config.path else ''}: {', '.join(config.tasks)}"
    return config, Ability(name="configuration", state=State.WORKS, text=text)


def described(examination: Examination) -> str:
    """Return the examination for a person: a line a fact, what to do under it, then each stage."""
    lines = [f"verify {__version__}: what can be verified on this machine", ""]
    width = max(len(ability.name) for ability in examination.abilities)
    for ability in examination.abilities:
        aside = " " * (width + 13)
        said = textwrap.wrap(ability.text, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append(f"  {ability.state:8s} {ability.name:{width}s}  {said[0]}")
        lines += [aside + line for line in said[1:]]
        if ability.remedy:
            lines.append(f"{aside}-> {ability.remedy}")
    lines.append("")
    lines += [_of_stage(stage, examination) for stage in examination.stages]
    if examination.plugins:
        lines += ["", f"plugins: {', '.join(examination.plugins)}"]
    return "\n".join(lines)


def _of_stage(stage: Stage, examination: Examination) -> str:
    stopped = [item.name for item in examination.abilities if stage.name in item.stops]
    deferred = _gates_of(stage, (gate for item in examination.abilities for gate in item.defers))
    head = f"  {stage.number} {stage.name:12s}"
    if stopped:
        return f"{head} cannot run: {', '.join(stopped)}"
    return f"{head} can run" + (f"; gates that will be deferred: {', '.join(deferred)}" if deferred else "")


def _gates_of(stage: Stage, gates: Iterable[str]) -> Sequence[str]:
    return sorted({gate.partition(":")[2] for gate in gates if gate.partition(":")[0] == stage.name})
