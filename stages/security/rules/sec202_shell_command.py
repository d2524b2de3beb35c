"""SEC202: a shell is given a command that is put together from values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.security.flows import Source, is_downloaded, sources
from stages.security.loads import origin_of
from stages.security.problem import Problem
from stages.security.view import argument, is_constant, shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.security.view import View

RULE = RuleInfo(
    code="SEC202",
    name="shell-command",
    severity=Severity.LOW,
    summary="A shell is given a command that is put together from values.",
    why=(
        "A name with a space, a quote or a semicolon becomes another command. HIGH where a value comes over the"
        " network; LOW elsewhere, also for the command line, whose user has a shell anyway."
    ),
    examples=(
        Bad("""
            import os
            import subprocess

            import requests


            def clean(folder):
                os.system(f"rm -rf {folder}/*.pt")  # expect: SEC202
                subprocess.run("tar xf " + folder, shell=True, check=True)


            def follow(url):
                os.system("wget " + requests.get(url).json()["next"])  # expect: SEC202
        """),
        Good("""
            import os
            import shlex
            import subprocess

            NAME = "data"


            def clean(folder, count):
                os.system("nvidia-smi")
                os.system(f"mkdir {NAME}")
                subprocess.run(f"head -n {int(count)} log", shell=True)
                subprocess.run(f"rm -rf {shlex.quote(folder)}", shell=True)
                subprocess.run(["rm", "-rf", folder], check=True)
        """),
        Good("""
            import os

            import requests


            def fetch(tag):
                url = requests.get("https://example.org/releases").json()["url"]
                print(url)
                url = "https://example.org/latest"
                os.system(f"curl -LO {url}")
        """),
    ),
)
_ALWAYS = frozenset(
    ["os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"]
)
_ASKED = frozenset(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen"))
WANTED = Wanted(
    torch=False,
    some=(
        b"shell=True",
        b"shell = True",
        b"os.system",
        b"import system",
        b"popen(",
        b"getoutput(",
        b"getstatusoutput(",
    ),
)


def look(view: View) -> Iterator[Problem]:
    """Report commands with a part that neither the code fixes nor `shlex.quote` guards."""
    for call, scope, name in view.calls_of(_ALWAYS | _ASKED):
        if name in _ASKED and not is_constant(argument(call, "shell"), True):
            continue
        command = call.args[0] if call.args else argument(call, "args") or argument(call, "command")
        if command is None or isinstance(command, ast.List | ast.Tuple):
            continue
        if sources(view, command, scope) == {Source.FIXED}:
            continue
        severity = Severity.HIGH if is_downloaded(view, command, scope) else Severity.LOW
        yield Problem(
            node=call,
            severity=severity,
            message=f"`{shown(call)}` has a shell read what comes from {origin_of(view, command, scope)}",
            remedy="Pass a list of arguments without `shell=True`, or quote each part with `shlex.quote`.",
            cause=f"{view.label(call)} {severity}",
        )
