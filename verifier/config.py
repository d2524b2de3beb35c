"""Reads `[tool.verifier]`: every problem at once, each with its place and the nearest valid name."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.discovery import Paths, matching, walk
from verifier.errors import ConfigError, UsageError
from verifier.globs import has_magic
from verifier.model.finding import Severity
from verifier.model.isolation import is_reserved
from verifier.model.task import Config, Criterion, Script, Task
from verifier.nearest import suggestion
from verifier.requirements import read_requirements
from verifier.sources import read_regular
from verifier.toml_places import line_of

if TYPE_CHECKING:
    from verifier.model.requirement import Requirement

COMMANDS = (
    *("check", "run", "fix", "analyze", "calibrate", "compare", "mutate", "check-report", "merge"),
    *("tasks", "stages", "rules", "explain", "init", "doctor", "schema", "task"),
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_FILE_NAMES = ("verifier.toml", "pyproject.toml")
_CAGE_KEYS = ("pass-env", "allow-network")
TOP_KEYS = ("source-roots", "block-at", "exclude", "python", "per-file-ignores", "tasks", *_CAGE_KEYS)
_MEASURED_KEYS = ("workloads", "scripts", "requirements")
TASK_KEYS = ("title", "files", "tests", "test-processes", *_MEASURED_KEYS, "acceptance", *_CAGE_KEYS)
SCRIPT_KEYS = ("run", "amp", "fp32")
CRITERION_KEYS = ("text", "proven-by")


@dataclass(slots=True)
class _Document:
    """One configuration file being read, and what is wrong with it so far."""

    path: Path
    text: str
    prefix: tuple[str, ...]
    problems: list[str] = field(default_factory=list)

    def problem(self, keys: tuple[str | int, ...], sentence: str) -> None:
        line = line_of(self.text, (*self.prefix, *keys))
        name = ".".join(str(key) for key in keys)
        self.problems.append(
            f"{self.path.name}:{line}: {name}: {sentence}" if name else f"{self.path.name}: {sentence}"
        )

    def unknown_keys(self, keys: tuple[str | int, ...], table: Mapping[str, Any], valid: Sequence[str]) -> None:
        for key in table:
            if key not in valid:
                self.problem((*keys, key), f"unknown key{suggestion(key, valid)}")

    def strings(self, keys: tuple[str | int, ...], table: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the list of strings under the last of `keys`, or () and a problem."""
        value = table.get(str(keys[-1]), [])
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        self.problem(keys, "must be a list of non-empty strings")
        return ()


def find_root(start: Path, *, markers: Sequence[str] = _FILE_NAMES) -> Path | None:
    """Return the nearest folder at or above `start` that holds one of `markers`."""
    above = (start, *start.parents) if os.path.isdir(start) else start.parents  # noqa: PTH112 - never raises
    return next((folder for folder in above if any(os.path.exists(folder / name) for name in markers)), None)  # noqa: PTH110


def load_config(
    root: Path,
    *,
    file: Path | None = None,
    gates: Mapping[str, Iterable[str]],
    codes: Iterable[str] = (),
    essential: Iterable[str] = (),
) -> Config:
    """Read the configuration of `root`.

    Args:
        root: the project; also the folder of the configuration file unless `file` is given.
        file: `--config`; its folder is then the root.
        gates: stage name -> gate names, which `proven-by` may name.
        codes: every rule code; `per-file-ignores` may name them and their families.
        essential: those of them that may not be ignored.

    Raises:
        ConfigError: with every problem found.
        UsageError: the file named by `--config` cannot be read.
    """
    path = file or configured_in(root)
    if path is None:
        return Config(root=root)
    document, table = _read(path)
    root = path.parent.resolve()
    document.unknown_keys((), table, TOP_KEYS)
    config = Config(
        root=root,
        path=path,
        source_roots=_source_roots(document, table, root),
        block_at=_block_at(document, table),
        exclude=document.strings(("exclude",), table),
        python=_python(document, table, root),
        pass_env=_pass_env(document, (), table),
        allow_network=_allow_network(document, (), table) or False,
        per_file_ignores=_per_file_ignores(document, table, set(codes), set(essential)),
        tasks=_tasks(document, table, root, {name: set(names) for name, names in gates.items()}),
    )
    if document.problems:
        raise ConfigError(tuple(document.problems))
    return config


def configured_in(root: Path) -> Path | None:
    """Return the file of `root` that configures verify, if there is one.

    Raises:
        ConfigError: two files do, or one is not valid TOML.
    """
    present = [root / name for name in _FILE_NAMES if (root / name).is_file()]
    ours = [path for path in present if path.name == "verifier.toml" or _has_table(path)]
    if len(ours) > 1:
        raise ConfigError((f"verifier.toml and pyproject.toml in {root} both configure verify; keep one of them",))
    return ours[0] if ours else None


def _has_table(path: Path) -> bool:
    data = _parse(path, _text(path))
    tool = data.get("tool")
    return isinstance(tool, dict) and "verifier" in tool


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: it is not UTF-8 text, as TOML has to be: {error}") from None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{path}: it cannot be read: {reason}; make it readable, or name another (--config)") from None


@lru_cache(maxsize=2)  # the table is looked for first, and read then
def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError((f"{path.name}: its values are nested too deeply to be read",)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((f"{path.name}: is not valid TOML: {error}",)) from None


def _read(path: Path) -> tuple[_Document, dict[str, Any]]:
    text = _text(path)
    data = _parse(path, text)
    if path.name != "pyproject.toml":
        return _Document(path, text, ()), data
    table = data.get("tool", {}).get("verifier", {})
    document = _Document(path, text, ("tool", "verifier"))
    if not isinstance(table, dict):
        raise ConfigError((f"{path.name}: tool.verifier must be a table",))
    return document, table


def _source_roots(document: _Document, table: Mapping[str, Any], root: Path) -> tuple[str, ...]:
    roots = document.strings(("source-roots",), table) or (".",)
    for name in roots:
        if not (root / name).is_dir():
            document.problem(("source-roots",), f'there is no folder "{name}" below {root}')
    return roots


def _block_at(document: _Document, table: Mapping[str, Any]) -> Severity:
    value = table.get("block-at", "high")
    names = [severity.name.lower() for severity in Severity]
    if isinstance(value, str) and value in names:
        return Severity[value.upper()]
    document.problem(("block-at",), f"{value!r} is no severity{suggestion(str(value), names)}")
    return Severity.HIGH


def _python(document: _Document, table: Mapping[str, Any], root: Path) -> str | None:
    value = table.get("python")
    if value is None:
        return None
    if isinstance(value, str) and (root / value).is_file():
        return str(root / value)
    document.problem(("python",), f"there is no interpreter {value!r} below {root}")
    return None


def _pass_env(document: _Document, here: tuple[str, ...], table: Mapping[str, Any]) -> tuple[str, ...]:
    names = document.strings((*here, "pass-env"), table)
    for name in names:
        if not _VARIABLE.match(name):
            sentence = f'"{name}" is no name of an environment variable; give the name alone, never a value'
            document.problem((*here, "pass-env"), sentence)
        elif is_reserved(name):
            document.problem((*here, "pass-env"), f"{name} would change the isolation itself and is never handed down")
    return names


def _allow_network(document: _Document, here: tuple[str, ...], table: Mapping[str, Any]) -> bool | None:
    value = table.get("allow-network")
    if value is None or isinstance(value, bool):
        return value
    document.problem((*here, "allow-network"), "must be true or false")
    return None


def _per_file_ignores(
    document: _Document, table: Mapping[str, Any], codes: set[str], essential: set[str]
) -> dict[str, tuple[str, ...]]:
    value = table.get("per-file-ignores", {})
    if not isinstance(value, dict):
        document.problem(("per-file-ignores",), "must be a table of glob = [codes]")
        return {}
    families = {code[:3] for code in codes}
    essential |= {family for family in families if essential >= {code for code in codes if code[:3] == family}}
    known = codes | families
    ignores = {}
    for pattern in value:
        ignores[pattern] = document.strings(("per-file-ignores", pattern), value)
        for code in ignores[pattern]:
            if code in essential:
                sentence = f"{code} says what could not be judged; leave such files out with `exclude`"
                document.problem(("per-file-ignores", pattern), sentence)
            elif code not in known:
                sentence = f"{code!r} is no rule or family{suggestion(code, known)}"
                document.problem(("per-file-ignores", pattern), sentence)
    return ignores


def _tasks(document: _Document, table: Mapping[str, Any], root: Path, gates: Mapping[str, set[str]]) -> dict[str, Task]:
    value = table.get("tasks", {})
    if not isinstance(value, dict) or not all(isinstance(task, dict) for task in value.values()):
        document.problem(("tasks",), "must hold one table per task: [tool.verifier.tasks.NAME]")
        return {}
    exclude = table.get("exclude", [])
    exclude = exclude if isinstance(exclude, list) and all(isinstance(item, str) for item in exclude) else []
    found = walk(root, root=root, exclude=exclude) if value else ()
    candidates = Paths(path.relative_to(root).as_posix() for path in found)
    return {name: _task(document, name, task, root, candidates, gates) for name, task in value.items()}


def _task(
    document: _Document,
    name: str,
    table: Mapping[str, Any],
    root: Path,
    candidates: Paths,
    gates: Mapping[str, set[str]],
) -> Task:
    here = ("tasks", name)
    document.unknown_keys(here, table, TASK_KEYS)
    if not _TASK_NAME.match(name) or name in COMMANDS:
        document.problem(here, "a task name is letters, digits, `_`, `.` and `-`, and not the name of a command")
    title = table.get("title", name)
    if not isinstance(title, str):
        document.problem((*here, "title"), "must be text")
        title = name
    files = document.strings((*here, "files"), table)
    if not files:
        document.problem((*here, "files"), "a task needs at least one file or glob")
    for pattern, paths in matching(root, files, candidates).items():
        if not paths:
            document.problem((*here, "files"), f'"{pattern}" matches no file below {root} that is not excluded')
    tests = _tests(document, here, table, root, candidates)
    workloads = document.strings((*here, "workloads"), table)
    for workload in workloads:
        module, _, factory = workload.partition(":")
        if not factory.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            document.problem((*here, "workloads"), f'"{workload}" is not of the form "package.module:factory"')
    scripts = _scripts(document, here, table, root)
    return Task(
        name=name,
        title=title,
        files=files,
        tests=tests,
        test_processes=_test_processes(document, here, table),
        workloads=workloads,
        scripts=scripts,
        requirements=_requirements(
            document, here, table, (*workloads, *(script.file for script in scripts if script.run))
        ),
        acceptance=_criteria(document, here, table, gates),
        pass_env=_pass_env(document, here, table),
        allow_network=_allow_network(document, here, table),
    )


def _tests(
    document: _Document, task: tuple[str, str], table: Mapping[str, Any], root: Path, candidates: Paths
) -> tuple[str, ...]:
    """Return the declared test files and folders; a glob stands for the Python files that it matches."""
    found: list[str] = []
    for path in document.strings((*task, "tests"), table):
        if (root / path).exists():
            found.append(path)
        elif not has_magic(path):
            document.problem((*task, "tests"), f'there is no test file or folder "{path}" below {root}')
        elif matched := sorted(one for one in matching(root, (path,), candidates)[path] if one.endswith(".py")):
            found += matched
        else:
            document.problem((*task, "tests"), f'"{path}" matches no Python file below {root} that is not excluded')
    return tuple(dict.fromkeys(found))


def _scripts(document: _Document, task: tuple[str, str], table: Mapping[str, Any], root: Path) -> tuple[Script, ...]:
    value = table.get("scripts", [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        document.problem((*task, "scripts"), 'must be a list of tables: [{ run = ["train.py"], amp = ["--amp"] }]')
        return ()
    scripts = []
    for index, item in enumerate(value):
        here = (*task, "scripts", index)
        document.unknown_keys(here, item, SCRIPT_KEYS)
        run, amp, fp32 = (document.strings((*here, key), item) for key in SCRIPT_KEYS)
        script = Script(run=run, amp=amp, fp32=fp32)
        if not run:
            document.problem((*here, "run"), "a script needs its file, and the arguments of every run")
        elif not (root / script.file).is_file():
            document.problem((*here, "run"), f'there is no script "{script.file}" below {root}')
        if amp == fp32:
            document.problem(here, "amp and fp32 add the same arguments, so nothing switches AMP on and off")
        scripts.append(script)
    return tuple(scripts)


def _requirements(
    document: _Document, here: tuple[str, str], table: Mapping[str, Any], measured: Sequence[str]
) -> tuple[Requirement, ...]:
    place = (*here, "requirements")
    return read_requirements(
        table.get("requirements", {}),
        measured,
        lambda name: line_of(document.text, (*document.prefix, *place, name)),
        lambda keys, sentence: document.problem((*place, *keys), sentence),
    )


def _test_processes(document: _Document, here: tuple[str, ...], table: Mapping[str, Any]) -> int:
    value = table.get("test-processes", 1)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    document.problem((*here, "test-processes"), "must be a whole number of 1 or more")
    return 1


def _criteria(
    document: _Document, task: tuple[str, str], table: Mapping[str, Any], gates: Mapping[str, set[str]]
) -> tuple[Criterion, ...]:
    value = table.get("acceptance", [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        document.problem(
            (*task, "acceptance"), f"must be an array of tables: [[tool.verifier.{'.'.join(task)}.acceptance]]"
        )
        return ()
    criteria = []
    for index, item in enumerate(value):
        here = (*task, "acceptance", index)
        document.unknown_keys(here, item, CRITERION_KEYS)
        text = item.get("text")
        if not isinstance(text, str) or not text.strip():
            document.problem((*here, "text"), "an acceptance line needs a text")
            text = ""
        proven_by = document.strings((*here, "proven-by"), item)
        if not proven_by:
            document.problem((*here, "proven-by"), "an acceptance line must name the gates that prove it")
        for reference in proven_by:
            if sentence := _unknown_gate(reference, gates):
                document.problem((*here, "proven-by"), sentence)
        criteria.append(Criterion(text=text, proven_by=proven_by))
    return tuple(criteria)


def _unknown_gate(reference: str, gates: Mapping[str, set[str]]) -> str | None:
    stage, _, gate = reference.partition(":")
    if stage not in gates:
        return f'"{reference}" names no stage of this version{suggestion(stage, gates)}'
    if gate not in gates[stage]:
        return f'"{reference}" names no gate of stage {stage}{suggestion(gate, gates[stage])}'
    return None
