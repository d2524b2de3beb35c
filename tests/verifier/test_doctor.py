"""`verify doctor` says what can run here, what cannot and what to do, and its exit code follows from that."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from verifier.api import Ability, Config, Plugins, State, Task, load_plugins
from verifier.doctor import Examination, described, examine
from verifier.errors import ConfigError, ExitCode, PluginError

if TYPE_CHECKING:
    import pytest

PLUGINS = load_plugins()
TASK = Task(name="T", title="T", files=("a.py",))


def plugins_saying(*answers: Any) -> Plugins:
    """The real stages, with the given examinations instead of the real ones."""
    hooks = [
        SimpleNamespace(plugin_name=f"p{number}", function=answer, argnames=("config",))
        for number, answer in enumerate(answers)
    ]
    hook = SimpleNamespace(verifier_machine=SimpleNamespace(get_hookimpls=lambda: hooks))
    return dataclasses.replace(PLUGINS, manager=SimpleNamespace(hook=hook))  # type: ignore[arg-type]


def examined(root: Path, *answers: Any, tasks: bool = True) -> Examination:
    config = Config(root=root, path=root / "pyproject.toml", tasks={"T": TASK} if tasks else {})
    return examine(lambda: plugins_saying(*answers), lambda _plugins: config, None)


def missing(name: str, *stops: str, **fields: Any) -> Any:
    ability = Ability(name=name, state=State.MISSING, text="not here", remedy=f"install {name}", stops=stops, **fields)
    return lambda config: (ability,)


def test_where_nothing_is_missing_every_stage_can_run(tmp_path: Path) -> None:
    examination = examined(tmp_path)
    assert examination.exit_code is ExitCode.PASS
    lines = described(examination).splitlines()
    assert "  1 syntax       can run" in lines
    assert "  3 integration  can run" in lines


def test_what_stops_a_stage_that_tasks_need_is_exit_1_with_the_remedy(tmp_path: Path) -> None:
    examination = examined(tmp_path, missing("torch", "integration"), missing("pytest", "integration"))
    text = described(examination)
    assert examination.exit_code is ExitCode.BLOCK
    assert "3 integration  cannot run: torch, pytest" in text
    assert "-> install torch" in text
    assert "1 syntax       can run" in text


def test_without_tasks_only_the_static_stages_are_needed(tmp_path: Path) -> None:
    assert examined(tmp_path, missing("torch", "integration"), tasks=False).exit_code is ExitCode.PASS
    assert examined(tmp_path, missing("disk", "syntax"), tasks=False).exit_code is ExitCode.BLOCK


def test_deferred_gates_are_named_and_are_no_failure(tmp_path: Path) -> None:
    examination = examined(tmp_path, missing("ruff", defers=("syntax:lint",)))
    assert examination.exit_code is ExitCode.PASS
    assert "1 syntax       can run; gates that will be deferred: lint" in described(examination)


def test_an_examination_that_fails_does_not_silence_the_others(tmp_path: Path) -> None:
    def broken(config: Config) -> Any:
        raise RuntimeError("boom")

    text = described(examined(tmp_path, broken, missing("torch", "integration")))
    assert "its examination failed: RuntimeError: boom" in text
    assert "cannot run: torch" in text


def test_an_examination_of_the_wrong_kind_is_said(tmp_path: Path) -> None:
    assert "TypeError: int is no Ability" in described(examined(tmp_path, lambda config: (3,)))


def test_without_fork_only_what_reads_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    examination = examined(tmp_path)
    assert examination.exit_code is ExitCode.BLOCK
    assert "3 integration  cannot run: platform" in described(examination)
    assert "1 syntax       can run" in described(examination)


def test_a_configuration_that_does_not_load_is_said_with_the_rest(tmp_path: Path) -> None:
    def load(_plugins: Plugins) -> Config:
        raise ConfigError(("pyproject.toml:3: tasks: unknown key", "another"))

    examination = examine(lambda: plugins_saying(missing("ruff")), load, None)
    assert examination.exit_code is ExitCode.USAGE
    text = described(examination)
    assert "does not load: pyproject.toml:3: tasks: unknown key (and 1 more)" in text
    assert "install ruff" in text


def test_a_plugin_that_does_not_load_is_said_with_what_the_core_knows() -> None:
    def load() -> Plugins:
        raise PluginError('plugin "x" failed to load')

    examination = examine(load, lambda _plugins: Config(root=Path()), None)
    assert examination.exit_code is ExitCode.USAGE
    assert 'missing  plugins  plugin "x" failed to load' in described(examination)


def test_on_the_command_line_it_imports_no_torch_here_and_finds_it_there(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import torch\n")
    (tmp_path / "test_a.py").write_text("import a\n")
    (tmp_path / "verifier.toml").write_text('[tasks.T]\nfiles = ["a.py"]\ntests = ["test_a.py"]\n')
    code = (
        "import sys\nsys.argv = ['verify', 'doctor']\nfrom verifier.cli import main\ncode = main()\n"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if line.startswith(("  w", "  m"))}
    wanted = ("python", "platform", "git", "configuration", "interpreter", "torch", "pytest", "isolation")
    assert {name: facts.get(name) for name in wanted} == dict.fromkeys(wanted, "works")
