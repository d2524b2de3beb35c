"""A tree of processes is seen and ended as a whole, also what has cut its ties."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time

from stages._probe.processes import Tree, table

SLEEP = "import time; time.sleep(600)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); time.sleep(600)"
ORPHAN = (
    "import os, sys\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    f"    os.execv(sys.executable, [sys.executable, '-c', {SLEEP!r}])\n"
)


def start(code: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        start_new_session=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
    )


def until(condition: object, limit_s: float = 10.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_children_are_members_and_die_with_the_rest() -> None:
    leader = start(PARENT)
    tree = Tree(leader.pid, "NONE=0")
    until(lambda: len(tree.members()) == 2)
    until(lambda: tree.use(1 << 40)[0] > 1 << 20)  # of the table of a moment ago
    assert tree.kill() == []
    leader.wait()
    assert tree.members() == []


def test_memory_above_the_limit_is_recounted_with_shared_pages_once() -> None:
    leader = start(PARENT)
    tree = Tree(leader.pid, "NONE=0")
    until(lambda: len(tree.members()) == 2)
    until(lambda: tree.use(limit=1 << 40)[0] > 1 << 20)
    assert 0 < tree.use(limit=1)[0] <= tree.use(limit=1 << 40)[0]
    tree.kill()
    leader.wait()


def test_an_orphan_in_a_session_of_its_own_is_found_by_its_mark() -> None:
    mark = secrets.token_hex(8)
    leader = start(ORPHAN, VERIFY_TEST_MARK=mark)
    leader.wait()
    tree = Tree(leader.pid, f"VERIFY_TEST_MARK={mark}")
    until(tree._strays)
    (orphan,) = tree._strays()
    assert tree.kill() == []
    until(lambda: orphan not in table())


def test_ourselves_are_never_a_stray() -> None:
    name = next(iter(os.environ))
    assert os.getpid() not in Tree(2**30, f"{name}=")._strays()
