"""The command line over a project of files that nobody should have: each is named, none costs another its result."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a2146' * 8}\nsize 12345\n"
TEXTS: dict[str, bytes] = {
    "good.py": b"print(nowhere)\n",
    "letter.py": b"Dear reader,\nthis was never Python.\n",
    "picture.py": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "binary.py": bytes(range(1, 256)) * 40,
    "large.py": b"".join(b"value_%d = %d\n" % (k, k) for k in range(49_999)) + b"print(undefined_at_the_end)\n",
    "parentheses.py": b"x = %b1%b\n" % (b"(" * 1_000, b")" * 1_000),
    "sum.py": b"x = " + b" + ".join([b"1"] * 10_000) + b"\n",
    "pointer.py": POINTER.encode(),
    "locked.py": b"print(hidden)\n",
}
SAID = {  # what is said of each file: the rule, and a part of the message
    "good.py": ("SCP001", "`nowhere` is not defined"),
    "letter.py": ("SYN001", "Syntax error: invalid syntax"),
    "picture.py": ("SYN001", "Not Python source: the file holds null bytes"),
    "binary.py": ("SYN001", "Syntax error: invalid non-printable character"),
    "large.py": ("SCP001", "`undefined_at_the_end` is not defined"),
    "parentheses.py": ("SYN001", "Syntax error: too many nested parentheses"),
    "pointer.py": ("SYN001", "The file is not checked out: it is a Git LFS pointer"),
    "locked.py": ("SYN001", "The file cannot be read: Permission denied"),
    "shut": ("SYN001", "it is a folder that cannot be listed: Permission denied"),
    "pipe.py": ("SYN001", "The file cannot be read: it is not a regular file"),
    "itself.py": ("SYN001", "The file cannot be read: Too many levels of symbolic links"),
    "dangling.py": ("SYN001", "The file cannot be read: it is a link that leads nowhere"),
    "caf\\udce9.py": ("SCP001", "`accent` is not defined"),
}
VANISHING = """
import os, shutil, sys
trigger, victim = sys.argv[1:3]

def take_away(event, arguments):
    if event == trigger or event == "open" and str(arguments[0]).endswith("/" + trigger):
        if os.path.isdir(victim):
            shutil.rmtree(victim)
        elif os.path.exists(victim):
            os.remove(victim)

sys.addaudithook(take_away)
sys.argv[1:] = sys.argv[3:]
from verifier.cli import entry
entry()
"""


def without_override() -> None:
    """Have the next program obey file permissions, root or not: drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


def python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        preexec_fn=without_override,
        check=False,
    )


def check(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(root, "-m", "verifier", "check", *arguments)


def findings(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    stage, *others = json.loads(done.stdout)["stages"]
    assert [(other["name"], other["status"]) for other in others] == [("logic", "PASSED"), ("security", "PASSED")]
    found: list[dict[str, Any]] = stage["findings"]
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    (root / "pyproject.toml").write_text('[project]\nname = "hostile"\nversion = "1"\n')
    for name, text in TEXTS.items():
        (root / name).write_bytes(text)
    Path(os.fsdecode(bytes(root) + b"/caf\xe9.py")).write_bytes(b"print(accent)\n")
    (root / "loop").symlink_to(".", target_is_directory=True)
    (root / "itself.py").symlink_to("itself.py")
    (root / "dangling.py").symlink_to("nothing.py")
    os.mkfifo(root / "pipe.py")
    (root / "shut").mkdir()
    (root / "shut/inside.py").write_text("x = 1\n")
    (root / "locked.py").chmod(0)
    (root / "shut").chmod(0)
    return root


@pytest.fixture(scope="module")
def checked(hostile: Path) -> subprocess.CompletedProcess[str]:
    return check(hostile, ".", "--format", "json", "--output", "-", "--no-progress")


def test_everything_is_named_once_and_blocks(checked: subprocess.CompletedProcess[str]) -> None:
    assert checked.returncode == 1, checked.stderr
    assert "Traceback" not in checked.stderr
    found = findings(checked)
    assert {item["path"] for item in found} == {*SAID, "sum.py"}
    for item in found:
        rule, message = SAID.get(item["path"], ("SYN001", "Too complex to compile"))
        assert (item["rule"], message in item["message"]) == (rule, True), item
    assert len(found) == len(SAID) + 1


def test_every_finding_says_what_to_do(checked: subprocess.CompletedProcess[str]) -> None:
    assert all(item["remediation"] and item["evidence"] for item in findings(checked))
    (pointer,) = [item for item in findings(checked) if item["path"] == "pointer.py"]
    assert "git lfs pull" in pointer["remediation"]


def test_what_no_tool_could_read_defers_the_lint_gate(checked: subprocess.CompletedProcess[str]) -> None:
    (deferred,) = [one for one in json.loads(checked.stdout)["deferred"] if one["stage"] == "syntax"]
    assert deferred["gate"] == "lint"
    assert "caf\\udce9.py (its name is not UTF-8)" in deferred["reason"]


def test_every_format_can_be_written(hostile: Path, tmp_path: Path) -> None:
    done = check(hostile, ".", "--format", "md,json,concise", "--output", str(tmp_path))
    assert done.returncode == 1, done.stderr
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [
        "logic.md",
        "report.json",
        "report.md",
        "report.sha256",
        "report.txt",
        "security.md",
        "syntax.md",
    ]
    for name in sorted(
        {*written[1:]} - {"report.sha256", "security.md"}
    ):  # stages that read what parses have nothing to say of these files
        text = (tmp_path / name).read_text("utf-8").replace("\\\\", "\\")
        assert "caf\\udce9.py" in text
        assert "Git LFS pointer" in text
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["locked.py", "shut", "shut/inside.py", "pipe.py", "itself.py", "dangling.py"])
def test_what_was_named_and_cannot_be_read_is_a_finding_beside_the_others(hostile: Path, name: str) -> None:
    done = check(hostile, name, "good.py")
    assert done.returncode == 1, done.stderr
    assert f"{name}:1:1: SYN001" in done.stdout
    assert "good.py:1:7: SCP001" in done.stdout


def test_an_empty_project_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    done = check(tmp_path, ".")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("verify: nothing to check: no Python file ")
    assert done.stderr.endswith(" below .\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["nothing.py", "good.py/x.py", "x" * 300])
def test_what_is_not_there_is_one_sentence_and_exit_2(hostile: Path, name: str) -> None:
    done = check(hostile, "good.py", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"verify: {name}: there is no such file or folder\n"


def test_a_configuration_that_cannot_be_read_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_bytes(TEXTS["good.py"])
    (tmp_path / "pyproject.toml").write_bytes(POINTER.encode())
    (tmp_path / "pyproject.toml").chmod(0)
    done = check(tmp_path, ".")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"verify: {tmp_path}/pyproject.toml: it cannot be read: Permission denied; make it readable, or name another"
        " (--config)\n"
    )


@pytest.mark.parametrize("named", ["pipe", "/dev/zero", "folder"])
def test_a_configuration_that_is_no_file_is_not_waited_for(tmp_path: Path, named: str) -> None:
    (tmp_path / "good.py").write_bytes(TEXTS["good.py"])
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    done = check(tmp_path, ".", "--config", named)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert named in done.stderr


@pytest.mark.parametrize(
    ("trigger", "victim", "said"),
    [
        ("first.py", "pkg", "pkg:1:1: SYN001 [CRITICAL] The file cannot be read: it is a folder that cannot be listed"),
        ("first.py", "later.py", "later.py:1:1: SYN001 [CRITICAL] The file cannot be read: No such file"),
        ("subprocess.Popen", "later.py", "later.py:1:7: SCP001"),
        ("subprocess.Popen", "pkg", "pkg/c.py:1:7: SCP001"),
        ("os.fork", "pkg", "pkg/c.py:1:7: SCP001"),
    ],
)
def test_what_vanishes_midway_is_named_or_judged_as_read(tmp_path: Path, trigger: str, victim: str, said: str) -> None:
    (tmp_path / "pkg").mkdir()
    for name in ("first.py", "later.py", "pkg/c.py"):
        (tmp_path / name).write_bytes(TEXTS["good.py"])
    (tmp_path / "later.py").write_bytes(
        TEXTS["good.py"] + b"# long enough to be read in a process of its own\n" * 2_000
    )
    done = python(tmp_path, "-c", VANISHING, trigger, victim, "check", ".")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert not (tmp_path / victim).exists()
    assert said in done.stdout
    assert "first.py:1:7: SCP001" in done.stdout
