"""`verify init`: a first configuration that loads and runs, from what the repository contains."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.config import configured_in, load_config
from verifier.errors import ConfigError, UsageError
from verifier.layout import Layout, read_layout
from verifier.writing.one_file import replace_file

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import AoT, Table

    from verifier.plugins import Plugins

TASK = "T001"
_ACCEPTANCE = (
    (
        "The code loads: every file compiles, every name and import resolves, no import cycle fails",
        ("syntax:compilation", "syntax:scope", "syntax:imports", "syntax:cycles"),
    ),
    ("Every module can be imported", ("integration:imports",)),
    ("The tests pass", ("integration:tests",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstConfig:
    """What would be written, and where. `text` is the whole new file, `added` what is new in it."""

    path: Path
    added: str
    text: str
    layout: Layout


def propose(root: Path, plugins: Plugins) -> FirstConfig:
    """Return a first configuration for `root`. Writes nothing.

    Raises:
        UsageError: `root` has a configuration already, or holds no Python file.
        ConfigError: its pyproject.toml is not valid TOML.
    """
    taken = configured_in(root)
    if taken is not None:
        raise UsageError(f"{taken} configures verify already; edit it, or remove its tables first")
    layout = read_layout(root)
    if layout is None:
        raise UsageError(f"there is no Python file to verify below {root}")
    project = root / "pyproject.toml"
    gates = {f"{stage.name}:{gate}" for stage in plugins.stages for gate in stage.gates}
    if project.is_file():
        before = project.read_bytes().decode("utf-8")
        added = _rendered(layout, _name(before, root), gates, prefix=("tool", "verifier"))
        text = _appended(before, added)
        if _adds_only_ours(before, text):
            return FirstConfig(path=project, added=added, text=text, layout=layout)
    added = _rendered(layout, root.resolve().name, gates, prefix=())
    return FirstConfig(path=root / "verifier.toml", added=added, text=added, layout=layout)


def write(first: FirstConfig, plugins: Plugins) -> None:
    """Write the configuration, and take it back if it does not load.

    Raises:
        OutputError: the file cannot be written.
        ConfigError: what was written does not load, which is a fault of ours.
    """
    before = first.path.read_bytes() if first.path.exists() else None
    replace_file(first.path, first.text.encode("utf-8"))
    gates = {stage.name: stage.gates for stage in plugins.stages}
    try:
        load_config(first.path.parent, gates=gates, codes=plugins.rules)
    except ConfigError:
        if before is None:
            first.path.unlink()
        else:
            replace_file(first.path, before)
        raise


def described(first: FirstConfig) -> str:
    """Return what a person is told after the file was written."""
    layout = first.layout
    lines = [f"wrote the task {TASK} to {first.path.name}", ""]
    lines.append(f"  files  {_short(layout.files)}: {layout.python_files} Python files, {len(layout.amp)} with AMP")
    lines.append(f"  tests  {_short(layout.tests) if layout.tests else 'none found'}")
    lines += ["", f"next: verify {TASK} --stage syntax   reads the code, runs nothing"]
    lines.append(
        f"      verify {TASK}                  imports every module and runs the tests, in processes of their own"
    )
    return "\n".join(lines)


def _short(names: Sequence[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _name(pyproject: str, root: Path) -> str:
    project = tomllib.loads(pyproject).get("project")
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) and name.isprintable() else root.resolve().name


def _rendered(layout: Layout, name: str, gates: Iterable[str], *, prefix: tuple[str, ...]) -> str:
    import tomlkit  # noqa: PLC0415 - 24 ms that only this command is worth

    tasks = tomlkit.table(is_super_table=True)
    tasks.add(TASK, _task(layout, name, set(gates)))
    table: Table | TOMLDocument = tomlkit.table() if prefix else tomlkit.document()
    for key, values in (("source-roots", layout.source_roots), ("exclude", layout.exclude)):
        if values:
            table.add(key, [".", *values] if key == "source-roots" else list(values))
    if layout.interpreter:
        table.add(tomlkit.comment(f'python = "{layout.interpreter}"  # where its imports are looked up and it runs'))
    table.add("tasks", tasks)
    for key in reversed(prefix):
        outer = tomlkit.document() if key == prefix[0] else tomlkit.table(is_super_table=True)
        outer.add(key, table)
        table = outer
    return tomlkit.dumps(table).strip() + "\n"


def _task(layout: Layout, name: str, gates: set[str]) -> Table:
    import tomlkit  # noqa: PLC0415

    task = tomlkit.table()
    task.add("title", f"Mixed precision training of {name}" if layout.amp else f"Code of {name}")
    for line in _remarks(layout):
        task.add(tomlkit.comment(line))
    task.add("files", tomlkit.item(list(layout.files)).multiline(len(layout.files) > 3))
    if layout.tests:
        task.add("tests", tomlkit.item(list(layout.tests)).multiline(len(layout.tests) > 3))
    for script in layout.switches:
        task.add(tomlkit.comment(f"scripts = [{{ run = {_array(script.run)}, amp = {_array(script.amp)}, fp32 = "
                                 f"{_array(script.fp32)} }}]"))  # fmt: skip
    if layout.switches:
        task.add(
            tomlkit.comment("The line above lets stage 3 train this script in both modes; give it what makes it short.")
        )
    task.add(tomlkit.comment('workloads = ["package.module:factory"]'))
    task.add(tomlkit.comment("A workload is a small training problem; without one no training step is run, in FP32 or"))
    task.add(tomlkit.comment("under AMP. How to write it: docs/workloads.md of verify-amp."))
    task.add("acceptance", _acceptance(layout, gates))
    return task


def _acceptance(layout: Layout, gates: set[str]) -> AoT:
    import tomlkit  # noqa: PLC0415

    lines = tomlkit.aot()
    for text, wanted in _ACCEPTANCE:
        proven_by = [gate for gate in wanted if gate in gates and (gate != "integration:tests" or layout.tests)]
        if proven_by:
            line = tomlkit.table()
            line.add("text", text)
            line.add("proven-by", proven_by)
            lines.append(line)
    return lines


def _array(words: Sequence[str]) -> str:
    import tomlkit  # noqa: PLC0415

    return tomlkit.item(list(words)).as_string()


def _remarks(layout: Layout) -> list[str]:
    """Say what was recognised: one line each, in printable characters, for they become comments."""
    said = []
    if layout.aside:
        said.append(f"Not taken in: {_short(layout.aside, 8)}. Add what of it is training code.")
    if layout.amp:
        said.append(f"AMP is used in {_short(layout.amp)}.")
    for name, users in layout.frameworks.items():
        said.append(
            f"{name[0].upper()}{name[1:]} is used in {_short(users, 2)}. A script of it runs as it is under "
            "`verify run`, and in both modes as `scripts` below."
        )
    printable = ("".join(character if character.isprintable() else "?" for character in text) for text in said)
    return [line for text in printable for line in textwrap.wrap(text, 100, break_on_hyphens=False)]


def _appended(before: str, added: str) -> str:
    if "\r\n" in before:
        added = added.replace("\n", "\r\n")
    line = "\r\n" if "\r\n" in before else "\n"
    return f"{before.rstrip()}{line}{line}{added}" if before.strip() else added


def _adds_only_ours(before: str, after: str) -> bool:
    """Say whether the new text reads as the old one with our table; not so where `tool` is an inline table."""
    try:
        new: dict[str, Any] = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return False
    tool = dict(new.get("tool", {}))
    ours = tool.pop("verifier", None)
    rest = {key: value for key, value in new.items() if key != "tool"} | ({"tool": tool} if tool else {})
    old: Mapping[str, Any] = tomllib.loads(before)
    return ours is not None and rest == {key: value for key, value in old.items() if key != "tool" or value}
