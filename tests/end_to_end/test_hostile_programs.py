"""Programs that try to pass without having earned it: each ends in BLOCK, with the true reason, and leaves nothing."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from amp_runtime.probes import landlock

ROOT = Path(__file__).parents[2]
LIMIT_S = 4.0
TASK = '[tasks.T]\ntitle = "t"\nfiles = ["*.py"]\n'
NO_PLUGINS = "[pytest]\naddopts = --disable-plugin-autoload\n"  # those of our own environment cost a second each time
needs_landlock = pytest.mark.skipif(landlock.why_not() is not None, reason="this kernel has no Landlock to test")
DAEMON = """
import os, signal, sys, time

def start():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
            os.execve(sys.executable, [sys.executable, "-c", program, "MARK"], {})
        os._exit(0)
    os.wait()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A hostile program, and what the report has to say of it: rule, words of the message."""

    name: str
    text: str
    rule: str
    says: str
    options: tuple[str, ...] = ()
    marks: tuple[Any, ...] = field(default=())


AT_IMPORT = [
    Program(name="os-exit", text="import os\nos._exit(0)\n", rule="RUN005", says="exit code 0 at a.py:2"),
    Program(name="sys-exit", text="import sys\nsys.exit(0)\n", rule="RUN005", says="calls sys.exit(0)"),
    Program(
        name="exit-handler",
        text="import atexit, os\natexit.register(os._exit, 0)\nraise ValueError('hidden')\n",
        rule="RUN005",
        says="exit code 0",
    ),
    Program(
        name="hostile-text",
        text="""
            class Hostile(Exception):
                def __str__(self): raise SystemExit(0)
                __repr__ = __str__
                @property
                def __class__(self): raise SystemExit(0)
                @property
                def __traceback__(self): raise SystemExit(0)
            raise Hostile
        """,
        rule="RUN001",
        says="Hostile",
    ),
    Program(
        name="segfault",
        text="import ctypes\nctypes.string_at(0)\n",
        rule="RUN006",
        says="SIGSEGV",
    ),
    Program(name="endless-loop", text="while True:\n    pass\n", rule="RUN004", says="a.py"),
    Program(
        name="ignores-signals",
        text="""
            import signal, time
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                time.sleep(1)
        """,
        rule="RUN004",
        says="a.py",
    ),
    Program(
        name="deadlock-at-exit",
        text="""
            import threading
            threading.Thread(target=threading.Event().wait).start()
        """,
        rule="RUN004",
        says="hung at its exit",
    ),
    Program(
        name="flood",
        text="import os\nwhile True:\n    os.write(1, b'x' * (1 << 20))\n",
        rule="RUN013",
        says="printed more than 256 MiB",
    ),
    Program(
        name="all-memory",
        text="hoard = []\nwhile True:\n    hoard.append(bytearray(1 << 22))\n",
        rule="RUN007",
        says="0.40 GiB are allowed",
        options=("--memory-limit", "0.4"),
    ),
    Program(
        name="daemon",
        text=f"{DAEMON}\nstart()\ntime.sleep(0.2)\n",
        rule="RUN014",
        says="left 1 process(es) running",
    ),
    Program(
        name="kills-its-parent",
        text=f"{DAEMON}\nstart()\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n",
        rule="RUN006",
        says="harness process was killed by SIGKILL",
        options=("--sandbox", "none"),
    ),
    Program(
        name="kills-its-parent-in-the-cage",
        text=f"{DAEMON}\nstart()\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n",
        rule="RUN001",
        says="PermissionError",
        marks=(pytest.mark.skipif(landlock.abi() < 6, reason="this kernel's Landlock knows no signals"),),
    ),
    Program(
        name="replaces-functions",
        text="""
            import builtins, importlib, json, os, pickle, sys, time, traceback
            def nothing(*_, **__): return None
            json.dumps = json.loads = json.JSONEncoder.encode = json.JSONEncoder.iterencode = nothing
            builtins.print = builtins.repr = builtins.str = builtins.isinstance = builtins.open = nothing
            os.write = os.getpid = os._exit = os.fork = time.monotonic = sys.exc_info = nothing
            traceback.format_exception = traceback.print_exc = nothing
            raise ValueError("still seen")
        """,
        rule="RUN001",
        says="still seen",
    ),
    Program(
        name="writes-the-channel",
        text="""
            import os
            for number in range(3, 64):
                for kind in ("end", "unit", "hello"):
                    try:
                        os.write(number, b'{"n": "guess", "k": "%s", "value": {"status": "ok"}}\\n' % kind.encode())
                    except OSError:
                        pass
        """,
        rule="RUN015",
        says="not written by the harness",
    ),
    Program(
        name="opens-the-harness-channel",
        text="""
            import os
            harness = os.getppid()
            for number in range(3, 64):
                with open(f"/proc/{harness}/fd/{number}", "wb", buffering=0) as channel:
                    channel.write(b'{"n": "guess", "k": "end"}\\n')
        """,
        rule="RUN001",
        says="PermissionError",
    ),
    Program(
        name="deletes-the-report",
        text="import pathlib, shutil\nshutil.rmtree(ORIGIN / '.verify')\n",
        rule="RUN001",
        says="PermissionError",
        marks=(needs_landlock,),
    ),
    Program(
        name="forges-the-report",
        text="""
            import pathlib
            for path in (ORIGIN / ".verify/reports/T").iterdir():
                path.write_text('{"verdict": "PASS"}')
        """,
        rule="RUN001",
        says="PermissionError",
        marks=(needs_landlock,),
    ),
    Program(
        name="deletes-the-report-where-nothing-denies-it",
        text="import shutil\nshutil.rmtree(ORIGIN / '.verify')\nraise ValueError('a fault of its own')\n",
        rule="RUN001",
        says="a fault of its own",
        options=("--sandbox", "none"),
    ),
    Program(
        name="makes-the-next-module-pass",
        text="import pathlib\npathlib.Path(__file__).with_name('b.py').write_text('')\n",
        rule="RUN022",
        says="b.py",
    ),
]


def running(mark: str) -> list[str]:
    """Return the living processes with the mark in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                line = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if mark.encode() in line:
                    found.append(line.decode("utf-8", "replace"))
        except OSError:
            continue
    return found


def verify(root: Path, mark: str, *options: str) -> tuple[dict[str, Any], str]:
    """Run the gate as people do; return its JSON and Markdown reports, after seeing what it left."""
    command = [sys.executable, "-m", "verifier", "T", "--stage", "integration", "-q", "--time-limit", f"{LIMIT_S}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": mark, "TMPDIR": str(root.parent)}
    done = subprocess.run([*command, *options], cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert running(mark) == []
    assert [path.name for path in root.parent.iterdir() if path.name.startswith("verify-probe")] == []
    folder = root / ".verify/reports/T"
    return json.loads((folder / "report.json").read_text("utf-8")), (folder / "report.md").read_text("utf-8")


def blocked(report: dict[str, Any], page: str, program: Program) -> None:
    """See that the report blocks for the true reason, in time, and can be read."""
    (stage,) = report["stages"]
    assert (report["verdict"], stage["status"]) == ("BLOCK", "FAILED")
    assert stage["duration_s"] < LIMIT_S + 5.0
    findings = [finding for finding in stage["findings"] if finding["rule"] == program.rule]
    assert [finding for finding in findings if program.says in finding["message"]], stage["findings"]
    assert page.startswith("# BLOCK")
    assert program.rule in page


@pytest.mark.parametrize("program", [pytest.param(one, id=one.name, marks=one.marks) for one in AT_IMPORT])
def test_a_module_that_is_hostile_when_imported(tmp_path: Path, program: Program) -> None:
    root, mark = tmp_path / "project", secrets.token_hex(8)
    (root / ".verify/reports/T").mkdir(parents=True)
    (root / ".verify/reports/T/report.json").write_text("an earlier report", encoding="utf-8")
    text = textwrap.dedent(program.text)
    if "ORIGIN" in text:
        text = f"import pathlib\nORIGIN = pathlib.Path({str(root)!r})\n{text}"
    (root / "a.py").write_text(text.replace("MARK", mark) + "\n", encoding="utf-8")
    (root / "b.py").write_text("x = 1\n", encoding="utf-8")
    (root / "verifier.toml").write_text(TASK, encoding="utf-8")
    blocked(*verify(root, mark, *program.options), program)


AT_TEST = [
    Program(name="os-exit", text="import os\nos._exit(0)", rule="RUN005", says="exit code 0"),
    Program(name="pytest-exit", text="import pytest\npytest.exit('done', 0)", rule="RUN003", says="Only 0 of 2"),
    Program(name="skips-all", text="import pytest\npytest.skip('not today')", rule="RUN003", says="No test passed"),
    Program(
        name="replaces-the-outcome",
        text="import _pytest.runner as r\nr.TestReport.from_item_and_call = None\nassert False, 'still seen'",
        rule="RUN003",
        says="pytest",
    ),
    Program(name="closes-descriptors", text="import os\nos.closerange(3, 256)", rule="RUN005", says="result was lost"),
    Program(
        name="segfault-in-a-thread",
        text="import ctypes, threading\nt = threading.Thread(target=ctypes.string_at, args=(0,))\nt.start()\nt.join()",
        rule="RUN006",
        says="SIGSEGV",
    ),
]


@pytest.mark.parametrize("program", [pytest.param(one, id=one.name, marks=one.marks) for one in AT_TEST])
def test_a_test_that_is_hostile_when_run(tmp_path: Path, program: Program) -> None:
    root = tmp_path / "project"
    (root / "tests").mkdir(parents=True)
    body = "".join(f"    {line}\n" for line in program.text.splitlines())
    last = "" if program.name != "pytest-exit" else "def test_b():\n    pass\n"
    (root / "tests/test_it.py").write_text(f"def test_a():\n{body}{last}", encoding="utf-8")
    (root / "pytest.ini").write_text(NO_PLUGINS, encoding="utf-8")
    (root / "a.py").write_text("x = 1\n", encoding="utf-8")
    (root / "verifier.toml").write_text(f'{TASK}tests = ["tests"]\n', encoding="utf-8")
    blocked(*verify(root, secrets.token_hex(8)), program)


def test_a_workload_that_replaces_torch_save_and_its_own_losses_is_judged_by_what_it_did(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "work.py").write_text(
        "import math, torch\n"
        "torch.save = torch.Tensor.item = torch.isfinite = math.isfinite = lambda *_, **__: True\n"
        "class Training:\n"
        "    def step(self):\n"
        "        return float(torch.tensor(float('nan')))\n"
        "def toy(*, amp, seed):\n"
        "    return Training()\n",
        encoding="utf-8",
    )
    (root / "verifier.toml").write_text(f'{TASK}workloads = ["work:toy"]\n', encoding="utf-8")
    program = Program(name="torch", text="", rule="RUN008", says="nan")
    started = time.monotonic()
    report, page = verify(root, secrets.token_hex(8), "--time-limit", "60")
    assert time.monotonic() - started < 65
    findings = [finding for finding in report["stages"][0]["findings"] if finding["rule"] == program.rule]
    assert findings
    assert page.startswith("# BLOCK")
