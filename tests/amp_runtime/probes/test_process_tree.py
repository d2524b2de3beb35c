"""What descends from a process is found whatever it does to its ties; nothing is searched where nothing is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import os, sys, time
from amp_runtime.probes import process_tree
process_tree.adopt_orphans()
print(process_tree.offspring())

read_end, write_end = os.pipe()
child = os.fork()
if child == 0:  # leaves an orphan in a session of its own, and ends
    if os.fork() == 0:
        os.setsid()
        os.write(write_end, os.getpid().to_bytes(8, "little"))
        time.sleep(600)
    os._exit(0)
orphan = int.from_bytes(os.read(read_end, 8), "little")
os.waitpid(child, 0)
print(process_tree.offspring() == [orphan])
print(process_tree.kill_descendants(), process_tree.offspring())

tables = []
process_tree.parents = lambda: tables.append("read") or {}
ended = os.fork()
if ended == 0:
    os._exit(0)
os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
print(process_tree.offspring(), tables)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="orphans fall to a process that asks for them on Linux"
)
def test_an_orphan_is_found_and_the_table_is_read_only_where_a_child_is_left() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "True", "True []", "[] []"]
