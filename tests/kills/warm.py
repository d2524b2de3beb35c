"""Starts `verify` from a process that has imported it already, because most of a cold start is imports.

Run as a program it reads one JSON object a line and answers with two lines: the number of the process that it forked,
and the exit code when that has ended (negative: the signal). The object holds `stdout` and `stderr`, where they go;
`arm`, which system call is to fail (failing_calls.c), or nothing; and what to do: `options` of a command line, or
`write`, the files of a report by name, to be put into `folder`, which is `ours` or not.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from verifier.cli import entry
from verifier.plugins import load_plugins
from verifier.writing.single_files import replace_files
from verifier.writing.whole_folder import replace_folder

IMPORTED = ("reports.json_report", "reports.markdown", "stages._probe.client", "verifier.commands")


def serve() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    load_plugins()
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            live(asked)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def live(asked: dict[str, Any]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(asked["stdout"], flags, 0o600), 1)
    os.dup2(os.open(asked["stderr"], flags, 0o600), 2)
    if asked["arm"]:
        assert ctypes.CDLL(None).fail_calls(asked["arm"].encode()) >= 0
    if "options" in asked:
        sys.argv = ["verify", *asked["options"]]
        entry()
    files = {name: text.encode() for name, text in asked["write"].items()}
    folder = Path(asked["folder"])
    try:
        if not (asked["ours"] and replace_folder(files, folder)):
            replace_files(files, folder, ours=asked["ours"])
    except OSError:
        os._exit(3)
    os._exit(0)


if __name__ == "__main__":
    serve()
