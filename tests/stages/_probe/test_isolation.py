"""What is denied is tried on this machine; a level that does not hold lets nothing run."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amp_runtime.probes import landlock
from amp_runtime.wire import ModuleUnit
from stages._probe.client import run_probe
from stages._probe.isolation import Isolation, level
from stages._probe.limits import Limits
from stages._probe.witness import witness
from stages._probe.work import Work
from verifier.api import StageError

if TYPE_CHECKING:
    from stages._probe.records import ProbeReport

LIMITS = Limits(time_s=20.0, phase_s=5.0, memory_bytes=1 << 33)
PROCESS = dict.fromkeys(
    (
        *("own-session", "orphans-adopted", "dies-with-parent"),
        *("core-dumps-off", "cpu-time-limited", "file-size-limited", "open-files-limited"),
    ),
    True,
)
FILES = PROCESS | {"writes-outside-denied": True}
NETWORK = FILES | {"tcp-denied": True, "udp-denied": True}
MECHANISMS = {"landlock": "ABI 7", "namespaces": "the kernel denies them"}
needs_landlock = pytest.mark.skipif(landlock.why_not() is not None, reason="this kernel has no Landlock to test")


def run(root: Path, text: str, **asked: object) -> ProbeReport:
    (root / "a.py").write_text(text, encoding="utf-8")
    work = Work(
        probe="imports",
        root=root,
        python=Path(sys.executable),
        paths=(str(root),),
        modules=(ModuleUnit(name="a", file="a.py"),),
        isolation=Isolation(**asked),  # type: ignore[arg-type]
    )
    return run_probe(work, LIMITS)


def why(report: ProbeReport) -> str:
    failure = report.units["a"].result.failure
    return "" if failure is None else f"{failure.type}: {failure.message}"


def in_namespaces(tmp_path: Path) -> None:
    """Skip where this kernel denies namespaces."""
    if not str(run(tmp_path, "").layers["namespaces"]).startswith("user"):
        pytest.skip("this kernel denies user namespaces")


@pytest.mark.parametrize(
    ("layers", "reached"),
    [
        ({}, "none"),
        (PROCESS | {"dies-with-parent": False}, "none"),
        (PROCESS, "process"),
        (NETWORK | {"writes-outside-denied": False}, "process"),
        (FILES | {"tcp-denied": True, "udp-denied": False}, "files"),
        (NETWORK, "network"),
    ],
)
def test_a_level_is_reached_when_all_its_layers_and_those_before_hold(layers: dict[str, bool], reached: str) -> None:
    assert level(layers) == reached


def test_a_level_that_is_asked_for_names_what_did_not_hold_and_why() -> None:
    assert Isolation(require="files").problem(FILES, MECHANISMS) is None
    said = Isolation(require="network").problem(FILES, MECHANISMS)
    assert said is not None
    assert "tcp-denied, udp-denied did not hold when tried" in said
    assert "namespaces: the kernel denies them" in said


def test_a_network_that_is_allowed_cannot_be_denied() -> None:
    said = Isolation(require="network", network=True).problem(FILES, MECHANISMS)
    assert said is not None
    assert "allow-network" in said


def test_a_sandbox_that_is_asked_for_by_name_must_work() -> None:
    assert Isolation(sandbox="landlock").problem(FILES, MECHANISMS) is None
    said = Isolation(sandbox="namespaces").problem(FILES, MECHANISMS)
    assert said == "--sandbox namespaces does not work on this machine: the kernel denies them"


def test_bubblewrap_that_is_not_installed_lets_nothing_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StageError, match="--sandbox bwrap does not work on this machine: the program bwrap is not"):
        run(tmp_path, "", sandbox="bwrap")


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_bubblewrap_denies_files_and_the_network(tmp_path: Path) -> None:
    text = f"""
import os, pathlib, socket
own = socket.create_server(("127.0.0.1", 0))
socket.create_connection(own.getsockname(), 1).close()
own.close()
pathlib.Path("mine").touch()
open(os.devnull, "w").close()
try:
    pathlib.Path({str(tmp_path)!r}, "a.py").write_text("")
except OSError:
    pass
else:
    raise AssertionError("it could be written")
"""
    report = run(tmp_path, text, sandbox="bwrap", require="network")
    assert why(report) == ""
    assert (report.layers["level"], report.survivors) == ("network", ())


def test_nothing_is_run_below_the_level_that_is_asked_for(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(StageError, match="cannot be kept on this machine, so nothing was run"):
        run(tmp_path, f"open({str(mark)!r}, 'w')\n", sandbox="none", require="files")
    assert not mark.exists()


@needs_landlock
def test_nothing_outside_the_scratch_folders_can_be_written(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").write_text("as it was", encoding="utf-8")
    text = f"""
import os, pathlib, tempfile
other = pathlib.Path({str(other)!r})
denied = []
for attempt in (
    lambda: (other / "new").touch(),
    lambda: (other / "kept").write_text("changed"),
    lambda: os.truncate(other / "kept", 0),
    lambda: (other / "kept").unlink(),
    lambda: (other / "kept").rename(other / "moved"),
    lambda: (other / "folder").mkdir(),
    lambda: (other / "link").symlink_to("kept"),
    lambda: pathlib.Path("/var/tmp/verify-was-here").touch(),
):
    try:
        attempt()
    except OSError:
        denied.append(True)
    else:
        denied.append(False)
assert all(denied), denied
assert (other / "kept").read_text() == "as it was"
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "file").write_text("x")
(folder / "file").rename(pathlib.Path.home() / "file")
open(os.devnull, "w").write("x")
import multiprocessing.shared_memory as shared
block = shared.SharedMemory(create=True, size=100)
block.close()
block.unlink()
"""
    report = run(tmp_path, text, sandbox="landlock", require="files")
    assert why(report) == ""
    assert report.layers["level"] == "files"


@needs_landlock
@pytest.mark.skipif(landlock.abi() < 4, reason="this kernel's Landlock knows no network")
def test_landlock_alone_denies_tcp_and_says_that_udp_is_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)\n"
        report = run(tmp_path, text, sandbox="landlock")
    assert why(report).startswith("PermissionError")
    assert report.layers["network"] == "TCP denied, UDP not restricted"


def test_in_namespaces_no_network_is_reached_and_loopback_works(tmp_path: Path) -> None:
    in_namespaces(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        server.setblocking(False)
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        text = f"""
import contextlib, socket
with contextlib.suppress(OSError):
    socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)
with contextlib.suppress(OSError):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp.getsockname()[1]}))
own = socket.create_server(('127.0.0.1', 0))
socket.create_connection(own.getsockname(), 1).close()
own.close()
"""
        report = run(tmp_path, text, sandbox="namespaces")
        for take in (server.accept, lambda: udp.recv(1)):
            with pytest.raises(BlockingIOError):
                take()
    assert why(report) == ""
    assert report.layers["network"] == "denied"


def test_allow_network_lets_it_through_and_the_report_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1).close()\n"
        report = run(tmp_path, text, network=True)
        server.accept()[0].close()
    assert why(report) == ""
    assert report.layers["network"] == "allowed by the configuration"


def test_the_verifiers_memory_and_environment_cannot_be_read(tmp_path: Path) -> None:
    text = f"""
pid = {os.getpid()}
for name in ("environ", "mem"):
    try:
        open(f"/proc/{{pid}}/{{name}}", "rb").read(1)
    except PermissionError:
        continue
    raise AssertionError(name)
"""
    for sandbox in ("auto", "none"):
        report = run(tmp_path, text, sandbox=sandbox)
        assert why(report) == ""
        assert report.layers["verifier-memory-denied"] is True


def test_the_harness_cannot_be_read_and_its_channel_not_reopened(tmp_path: Path) -> None:
    text = """
import os
harness = os.getppid()
for number in range(64):
    try:
        os.open(f"/proc/{harness}/fd/{number}", os.O_WRONLY)
    except OSError:
        continue
    raise AssertionError(number)
"""
    report = run(tmp_path, text, sandbox="none")
    assert why(report) == ""
    assert report.layers["harness-memory-denied"] is True


def test_no_descriptor_of_the_verifier_is_inherited(tmp_path: Path) -> None:
    mine = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(mine, True)
    text = """
import os
held = sorted(int(name) for name in os.listdir("/proc/self/fd"))
links = {number: os.readlink(f"/proc/self/fd/{number}") for number in held[:-1]}
assert links.pop(0) == os.devnull
pipes = [link for link in links.values() if link.startswith("pipe:")]
files = [link for link in links.values() if not link.startswith("pipe:")]
assert len(pipes) == 3 and len(set(pipes)) == 2, links  # stdout and stderr, which are one, and the result channel
assert len(files) == 1 and "/stacks-" in files[0], links
"""
    try:
        assert why(run(tmp_path, text)) == ""
    finally:
        os.close(mine)


def test_the_kernel_keeps_the_limits_of_files_and_descriptors(tmp_path: Path) -> None:
    text = """
import errno, os, resource, tempfile
with tempfile.TemporaryFile() as file:
    try:
        os.pwrite(file.fileno(), b"x", 1 << 33)
    except OSError as error:
        assert error.errno == errno.EFBIG
    else:
        raise AssertionError("a file of 8 GiB")
try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
except (ValueError, OSError):
    pass
else:
    raise AssertionError("the limit could be raised")
assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
"""
    assert why(run(tmp_path, text)) == ""


def test_a_touched_witness_overrules_the_harness(tmp_path: Path) -> None:
    claims = {"writes-outside-denied": True, "tcp-denied": True, "udp-denied": True, "own-session": True}
    with witness(tmp_path) as held:
        assert held.confirmed(claims) == claims
        seen = held.for_the_harness()
        (tmp_path / "kept").write_text("changed", encoding="utf-8")
        with socket.create_connection(("127.0.0.1", seen.tcp_port), 1):
            pass
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.sendto(b"x", ("127.0.0.1", seen.udp_port))
        expected = claims | {"writes-outside-denied": False, "tcp-denied": False, "udp-denied": False}
        assert held.confirmed(claims) == expected
