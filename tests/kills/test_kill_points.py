"""The writer is killed before each of its system calls in turn: what then stands is what was promised for that."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kills.arming import KILL, MOST, Arm
from tests.kills.starting import Warm
from tests.kills.tiny import Tiny

OLD = {"same.md": "the same\n", "old.md": "old\n", "pages/report.json": "old\n"}
NEW = {"same.md": "the same\n", "new.md": "new\n", "pages/report.json": "new\n"}
LIST = "report.sha256"
Files = dict[str, str]


def listed(files: Files) -> Files:
    lines = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(files.items())]
    return {**files, LIST: "".join(lines)}


def found(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".verify-writing" not in path.parts
    }


def agree(files: Files) -> bool:
    """Say whether the files are those on their list, as `sha256sum --check` does."""
    lines = [line.split("  ") for line in files.get(LIST, "").splitlines()]
    return bool(lines) and all(
        hashlib.sha256(files.get(name, "absent").encode()).hexdigest() == digest for digest, name in lines
    )


def killed_everywhere(place: Path, shim: str, *, ours: bool, **environment: str) -> Iterator[tuple[Files, Files]]:
    """Yield what stood in `T` after each kill, and after the next run, which failed before it wrote a whole file."""
    report, arm = place / "T", Arm(place, place.parent / "journal")
    with Warm(Tiny(place.parent / "tiny"), LD_PRELOAD=shim, **environment) as warm:
        for n in range(1, MOST):
            (report / "new.md").unlink(missing_ok=True)
            assert warm.write(listed(OLD), report, ours=ours) == 0
            code = warm.write(listed(NEW), report, ours=ours, arm=arm.at("any", n, KILL))
            stood = found(report)
            if arm.calls().failed is None:
                assert code == 0
                assert agree(stood)
                return
            assert code == -9
            assert warm.write(listed(NEW), report, ours=ours, arm=arm.at("fsync", 1, errno.EIO)) == 3
            yield stood, found(report)
    raise AssertionError(f"more than {MOST} calls")


@pytest.fixture
def place(folder: Path) -> Path:
    (folder / "place").mkdir()
    return folder / "place"


def test_where_the_folder_is_ours_it_is_the_old_report_or_the_new_one_at_every_moment(shim: str, place: Path) -> None:
    both = [*killed_everywhere(place, shim, ours=True)]
    assert all(stood == later for stood, later in both)
    assert in_turn([stood for stood, _ in both], listed(OLD), listed(NEW))


def test_without_an_exchange_the_next_run_moves_the_old_report_back(shim: str, place: Path) -> None:
    both = [*killed_everywhere(place, shim, ours=True, NO_EXCHANGE="1")]
    assert [stood for stood, _ in both].count({}) == 1  # between the two moves
    assert in_turn([later for _, later in both], listed(OLD), listed(NEW))


@pytest.mark.parametrize("ours", [True, False])
def test_beside_other_peoples_files_a_mixture_does_not_agree_with_its_list_and_is_undone(
    shim: str, place: Path, ours: bool
) -> None:
    (place / "T").mkdir()
    (place / "T/notes.txt").write_text("mine")
    kept = {"notes.txt": "mine"} | ({} if ours else {"old.md": "old\n"})
    both = [*killed_everywhere(place, shim, ours=ours)]
    for stood, _ in both:
        assert all(text in (OLD.get(name), NEW.get(name), "mine") for name, text in stood.items() if name != LIST)
        if agree(stood):
            assert stood["pages/report.json"] == ("old\n" if stood[LIST] == listed(OLD)[LIST] else "new\n")
    assert any(not agree(stood) for stood, _ in both)
    assert in_turn([later for _, later in both], listed(OLD) | kept, listed(NEW) | kept)


def in_turn(states: list[Files], old: Files, new: Files) -> bool:
    """Say whether there was the old state up to some moment, and the new one from then on; each at least once."""
    turn = states.count(old)
    return 0 < turn < len(states) and states == [old] * turn + [new] * (len(states) - turn)
