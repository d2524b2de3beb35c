"""A project of one module and a stage that really runs it: `verify` from end to end in half a second, to be killed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TOKEN = re.compile(r"--time-limit ([0-9]+)")  # each page of a report says by which command it came about

CONFIG = """
[tool.verifier.tasks.T]
title = "Tiny"
files = ["a.py"]
"""

# It starts a program that cuts its ties, as careless tests do, and ends it again.
MODULE = """
import os, subprocess, time

stray = subprocess.Popen(["sleep", "600"], start_new_session=True)
time.sleep(0.05)
stray.kill()
stray.wait()
print("finished", flush=True)
"""

PLUGIN = '''
"""A stage that runs one module in a real probe, and passes only if that came to its end; and one that does nothing."""

from stages._probe.client import Work, interpreter, run_probe
from stages._probe.limits import Limits
from amp_runtime.wire import ModuleUnit
from verifier.api import Gate, GateStatus, Stage, StageOutcome, hookimpl


def run(context):
    work = Work(
        probe="imports",
        root=context.root,
        python=interpreter(context.options.python, context.root),
        paths=(str(context.root),),
        modules=(ModuleUnit(name="a", file="a.py"),),
    )
    report = run_probe(work, Limits(time_s=20.0, phase_s=10.0, memory_bytes=1 << 33), context.progress)
    unit = report.units.get("a")
    done = report.ending == "complete" and unit is not None and unit.result.status == "ok"
    status = GateStatus.PASS if done else GateStatus.FAIL
    evidence = f"{report.ending}, {report.output_tail.strip()}"
    gate = Gate(name="stub", requirement="the module runs to its end", status=status, evidence=evidence)
    return StageOutcome(checks_run=1, gates=(gate,))


@hookimpl
def verifier_stages():
    gates = {"stub": "the module runs to its end"}
    nothing = lambda _context: StageOutcome(checks_run=1)
    idle = Stage(number=8, name="idle", title="Idle", summary="s", runs_code=False, run=nothing)
    return (idle, Stage(number=9, name="stub", title="Stub", summary="s", runs_code=True, run=run, gates=gates))
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A report as a reader finds it: the number of the run that wrote it, its verdict, and what the stage says.

    `code` is the exit code that belongs to it: 3 where the stage says that the verifier itself could not work.
    """

    run: int
    verdict: str
    evidence: str
    code: int


class Tiny:
    """The project, and how it is verified."""

    def __init__(self, folder: Path, stage: str = "stub", *, output: Path | None = None) -> None:
        self.root = folder / "project"
        self.scratch = folder / "scratch"
        self.reports = output or self.root / ".verify/reports/T"
        self.names = {"report.json", "report.md", f"{stage}.md", "report.sha256"}
        self._plugins = folder / "plugins"
        self._options = ("--stage", stage, "--no-progress", *(("--output", str(output)) if output else ()))
        self.helpers = {os.getpid()}
        info = self._plugins / "verify_stub-1.dist-info"
        for made in (self.root, self.scratch, info):
            made.mkdir(parents=True)
        (self.root / "pyproject.toml").write_text(CONFIG)
        (self.root / "a.py").write_text(MODULE)
        (self._plugins / "verify_stub.py").write_text(PLUGIN)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: verify-stub\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[verifier.plugins]\nstub = verify_stub\n")

    def start(self, number: int, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start the run of this number in a new process."""
        return subprocess.Popen(
            [sys.executable, "-m", "verifier", *self.command(number), *options],
            cwd=self.root,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def command(self, number: int) -> list[str]:
        return ["T", "--time-limit", str(number), *self._options]

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), str(self._plugins)])
        return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(self.scratch)}

    def run(self, number: int, *options: str, **environment: str) -> tuple[int, str, str]:
        """Verify to the end; return the exit code and what was said on stdout and stderr."""
        process = self.start(number, *options, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def report(self) -> Seen:
        """Read the report. Every file of it must be there, whole, and of one run."""
        return read_report({name: (self.reports / name).read_bytes() for name in self.names})

    def processes(self) -> list[int]:
        """Return what runs with one of our folders in its command line or environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in self.helpers:
                try:
                    known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if str(self.scratch).encode() in known:
                    found.append(int(entry.name))
        return found


def read_report(files: dict[str, bytes]) -> Seen:
    """Check that the files of a report belong together, and say what it says."""
    listed = dict(reversed(line.split("  ")) for line in files["report.sha256"].decode().splitlines())
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "report.sha256"}
    assert listed == digests
    (run,) = {tuple(_TOKEN.findall(files[name].decode())) for name in digests}
    report = json.loads(files["report.json"])
    (stage,) = report["stages"]
    evidence = stage["gates"][0]["evidence"] if stage["gates"] else stage.get("reason", "")
    code = 3 if stage.get("internal") else {"PASS": 0, "BLOCK": 1}[report["verdict"]]
    return Seen(run=int(run[0]), verdict=report["verdict"], evidence=evidence, code=code)
