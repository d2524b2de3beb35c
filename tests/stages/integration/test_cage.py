"""Code that floods, hoards, kills, forges or stays behind ends in a finding that says so, and nothing is left."""

from __future__ import annotations

import functools
import os
import secrets
import time
from pathlib import Path

import pytest

from amp_runtime.probes import landlock
from stages._probe.limits import Limits
from stages.integration import execution
from tests.stages.integration.projects import at, gate, integrate, only
from verifier.api import Config, GateStatus

FAKE_END = """
import os

for descriptor in range(3, 64):
    try:
        os.write(descriptor, b'{"n": "guess", "k": "end"}\\n')
    except OSError:
        pass
"""


def running(marker: str) -> list[str]:
    """Return the living processes whose command line holds the marker."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().decode("utf-8", "replace") if entry.name.isdigit() else ""
        except OSError:
            continue
        if marker in line and int(entry.name) != os.getpid():
            found.append(line)
    return found


def daemon(marker: str) -> str:
    """Write code that starts a program which cuts every tie to us and ignores polite signals."""
    return f"""
import os, signal, sys, time

def start():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
            os.execve(sys.executable, [sys.executable, "-c", program, "{marker}"], {{}})
        os._exit(0)
    os.wait()
"""


def test_a_daemon_that_outlives_a_test_is_killed_and_reported(tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    text = f"{daemon(marker)}\ndef test_a():\n    start()\n    time.sleep(0.2)\n"
    outcome = integrate(tmp_path, {"a.py": "", "tests/test_it.py": text}, tests=("tests",))
    finding = only(outcome)
    assert finding.rule == "RUN014"
    assert marker in str(finding.evidence[0].data)
    assert running(marker) == []


def test_a_daemon_is_killed_also_when_its_parent_is_timed_out(tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    outcome = integrate(tmp_path, {"a.py": f"{daemon(marker)}\nstart()\nwhile True: pass\n"}, time_limit_s=2.0)
    assert only(outcome).rule == "RUN004"
    assert running(marker) == []


KILLS_THE_HARNESS = """
start()
time.sleep(0.5)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
"""


def test_killing_the_harness_is_denied(tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    outcome = integrate(tmp_path, {"a.py": daemon(marker) + KILLS_THE_HARNESS, "b.py": "x = 1\n"})
    finding = only(outcome)
    assert at(finding)[:2] == ("RUN001", "a.py")
    assert "PermissionError" in finding.message
    assert gate(outcome, "imports").evidence.startswith("1 of 2 modules imported")
    assert running(marker) == []


def test_killing_the_harness_where_nothing_denies_it_is_seen_and_leaves_nothing(tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    files = {"a.py": daemon(marker) + KILLS_THE_HARNESS, "b.py": "x = 1\n"}
    outcome = integrate(tmp_path, files, sandbox="none")
    finding = only(outcome)
    assert at(finding)[:2] == ("RUN006", "a.py")
    assert "harness" in finding.message
    assert gate(outcome, "imports").status is GateStatus.FAIL
    assert running(marker) == []


def test_memory_without_bound_is_stopped(tmp_path: Path) -> None:
    text = "import time\nhoard = []\nwhile True:\n    hoard.append(bytearray(1 << 24))\n    time.sleep(0.02)\n"
    outcome = integrate(tmp_path, {"a.py": text}, memory_limit_gib=0.3)
    finding = only(outcome)
    assert at(finding)[:2] == ("RUN007", "a.py")
    assert "0.30 GiB are allowed" in finding.message


def test_a_flood_on_stdout_is_stopped_within_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    finding = only(integrate(tmp_path, {"a.py": "import os\nwhile True:\n    os.write(1, b'x' * 65536)\n"}))
    assert at(finding)[:2] == ("RUN013", "a.py")
    assert time.monotonic() - started < 20


def test_a_flood_into_pytests_capture_is_stopped_too(tmp_path: Path) -> None:
    text = "import os\ndef test_a():\n    while True:\n        os.write(1, b'x' * 65536)\n"
    finding = only(integrate(tmp_path, {"a.py": "", "tests/test_it.py": text}, tests=("tests",)))
    assert finding.rule == "RUN013"
    assert finding.symbol == "tests/test_it.py::test_a"


def test_records_that_the_harness_did_not_write_are_forged(tmp_path: Path) -> None:
    outcome = integrate(tmp_path, {"a.py": FAKE_END})
    assert only(outcome).rule == "RUN015"
    assert gate(outcome, "imports").status is GateStatus.FAIL


def test_closing_every_descriptor_loses_the_result_and_says_so(tmp_path: Path) -> None:
    finding = only(integrate(tmp_path, {"a.py": "import os\nos.closerange(3, 256)\n"}))
    assert finding.rule == "RUN005"
    assert "file descriptors" in finding.message


def test_replacing_json_builtins_and_os_functions_changes_no_result(tmp_path: Path) -> None:
    text = """
        import builtins, json, os, time

        json.dumps = json.JSONEncoder.encode = lambda *a, **k: "{}"
        builtins.print = lambda *a, **k: None
        os.write = os.getpid = lambda *a, **k: 1
        raise ValueError("still seen")
    """
    finding = only(integrate(tmp_path, {"a.py": text}))
    assert at(finding) == ("RUN001", "a.py", 6)
    assert "still seen" in finding.message


def test_a_project_may_have_folders_named_like_our_packages(tmp_path: Path) -> None:
    files = {f"{name}/__init__.py": f"mine = {name!r}\n" for name in ("stages", "reports", "verifier", "amp_runtime")}
    files |= {
        "amp_runtime/wire.py": "import nowhere_to_be_found\n",
        "main.py": "import stages, reports, verifier, amp_runtime\n"
        "assert [stages.mine, reports.mine, verifier.mine, amp_runtime.mine]\n",
    }
    finding = only(integrate(tmp_path, files))
    assert at(finding) == ("RUN001", "amp_runtime/wire.py", 1)


def test_the_parents_secrets_are_not_handed_down(tmp_path: Path, monkeypatch: object) -> None:
    os.environ["MY_API_TOKEN"], os.environ["OMP_API_KEY"] = "secret", "secret"
    try:
        outcome = integrate(tmp_path, {"a.py": "import os\nassert 'secret' not in os.environ.values()\n"})
    finally:
        del os.environ["MY_API_TOKEN"], os.environ["OMP_API_KEY"]
    assert outcome.findings == ()


def test_the_time_limit_of_the_stage_ends_it_within_seconds(tmp_path: Path) -> None:
    text = "import time\ndef test_a(): time.sleep(1)\ndef test_b(): time.sleep(60)\n"
    started = time.monotonic()
    outcome = integrate(tmp_path, {"a.py": "", "tests/test_it.py": text}, tests=("tests",), time_limit_s=4.0)
    assert only(outcome).rule == "RUN004"
    assert time.monotonic() - started < 4.0 + 5.0


def test_processes_without_bound_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "Limits", functools.partial(Limits, processes=20))
    text = "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(600)\n    time.sleep(0.01)\n"
    outcome = integrate(tmp_path, {"a.py": text})
    assert at(only(outcome))[:2] == ("RUN018", "a.py")
    assert "more than 20 processes" in only(outcome).message


def test_processor_time_beyond_the_limit_is_called_by_its_name(tmp_path: Path) -> None:
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)\nwhile True: pass\n"
    finding = only(integrate(tmp_path, {"a.py": text}))
    assert finding.rule == "RUN006"
    assert "more processor time" in finding.message


def test_variables_that_the_configuration_names_are_handed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "given")
    monkeypatch.setenv("OTHER_TOKEN", "kept back")
    text = "import os\nassert os.environ['HF_TOKEN'] == 'given' and 'OTHER_TOKEN' not in os.environ\n"
    outcome = integrate(tmp_path, {"a.py": text}, pass_env=("HF_TOKEN", "NOT_SET"))
    assert outcome.findings == ()
    assert outcome.facts["isolation"]["environment"] == "allow-list, and HF_TOKEN, NOT_SET"
    assert "pass-env names NOT_SET, which is not set here" in outcome.facts["limitations"]


@pytest.mark.skipif(landlock.abi() < 4, reason="this kernel's Landlock knows no network")
def test_a_task_may_keep_to_itself_what_all_others_may(tmp_path: Path) -> None:
    text = "import socket\nsocket.create_server(('127.0.0.1', 0)).close()\n"
    config = Config(root=tmp_path, allow_network=True)
    denied = integrate(tmp_path, {"a.py": text}, config=config, allow_network=False, sandbox="landlock")
    assert "PermissionError" in only(denied).message
    assert integrate(tmp_path, {"a.py": text}, config=config, sandbox="landlock").findings == ()
