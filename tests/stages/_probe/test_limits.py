"""The child gets what it needs to compute, and nothing that could be a secret."""

from __future__ import annotations

from pathlib import Path

from stages._probe.limits import clean_environment, default_memory_bytes

SCRATCH = Path("/scratch")


def test_only_what_is_known_to_be_harmless_is_handed_down() -> None:
    parent = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "OMP_NUM_THREADS": "2",
        "AWS_SECRET": "x",
        "PYTHONPATH": "/x",
    }
    child = clean_environment(parent, SCRATCH)
    assert child["PATH"] == "/bin"
    assert child["CUDA_VISIBLE_DEVICES"] == "1"
    assert child["OMP_NUM_THREADS"] == "2"
    assert {"AWS_SECRET", "PYTHONPATH"}.isdisjoint(child)


def test_a_secret_in_a_harmless_family_is_dropped() -> None:
    assert "TORCH_HUB_TOKEN" not in clean_environment({"TORCH_HUB_TOKEN": "x"}, SCRATCH)


def test_compute_threads_do_not_spin_unless_asked_to() -> None:
    assert clean_environment({}, SCRATCH)["OMP_WAIT_POLICY"] == "PASSIVE"
    assert clean_environment({"OMP_WAIT_POLICY": "ACTIVE"}, SCRATCH)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_home_and_temporary_files_are_scratch_and_no_bytecode_is_written() -> None:
    child = clean_environment({"HOME": "/root", "TMPDIR": "/var/tmp", "LANG": "de_DE"}, SCRATCH)
    assert child["HOME"] == "/scratch/home"
    assert child["TMPDIR"] == "/scratch/tmp"
    assert child["LANG"] == "C.UTF-8"
    assert child["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_default_memory_leaves_room_for_the_machine() -> None:
    assert 1 << 28 < default_memory_bytes() < 1 << 50
