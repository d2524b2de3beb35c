"""Where reports go: one folder a task, or standard output for a single document."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from verifier.errors import OutputError, UsageError
from verifier.nearest import suggestion
from verifier.streams import standard_output
from verifier.writing.checksums import LIST, as_list, is_below
from verifier.writing.single_files import replace_files
from verifier.writing.whole_folder import replace_folder
from verifier.writing.workshop import NAME

if TYPE_CHECKING:
    from verifier.model.report import Renderer, RunReport

DEFAULT_FORMATS = ("md", "json")
_TOP = ".verify"
_LAST = "report.json"  # where files are replaced one by one: who reads only this one finds the others beside it


def parse_formats(values: Sequence[str], renderers: Mapping[str, Renderer]) -> tuple[Renderer, ...]:
    """Return the renderers that `--format` names (repeatable, comma lists), each once, in the order given.

    Raises:
        UsageError: no plugin brings a format of that name.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in names:
        if name not in renderers:
            raise UsageError(f'there is no report format "{name}" in this version{suggestion(name, renderers)}')
    return tuple(renderers[name] for name in dict.fromkeys(names))


def default_folder(root: Path, task: str) -> Path:
    return root / _TOP / "reports" / task


def write_report(report: RunReport, formats: Sequence[Renderer], folder: Path, *, ours: bool) -> tuple[Path, ...]:
    """Write every format into `folder` in the place of the report before, and return the main documents' paths.

    Everything is rendered before anything is written, so that a format that fails leaves the old report in place.
    Whatever ends this process, and wherever, the old report is there or the new one (`verifier.writing`).

    Args:
        ours: the folder is the verifier's alone. It is replaced as a whole, unless it holds what no report brought.
            Elsewhere only the files of this report are.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    return write_documents(documents(report, formats), formats, folder, ours=ours)


def documents(report: RunReport, formats: Sequence[Renderer]) -> Mapping[str, str]:
    """Return every document of a report by its name, in the order in which they are written."""
    main = {renderer.filename: renderer.render(report) for renderer in formats}
    texts: dict[str, str] = {}
    for renderer in formats:
        texts |= renderer.extras(report)
    return texts | {name: main[name] for name in sorted(main, key=lambda name: name == _LAST)}


def write_documents(
    texts: Mapping[str, str], formats: Sequence[Renderer], folder: Path, *, ours: bool
) -> tuple[Path, ...]:
    """Write documents that are rendered already, as `write_report` does."""
    write_texts(texts, folder, ours=ours)
    if ours:
        _keep_out_of_git(folder)
    return tuple(folder / renderer.filename for renderer in formats)


def _keep_out_of_git(folder: Path) -> None:
    """Have git ignore the folder of the verifier, so that nobody has to configure that. A file that is there stays."""
    top = next((above for above in folder.parents if above.name == _TOP), None)
    if top is not None:
        try:
            with contextlib.suppress(FileExistsError, PermissionError), (top / ".gitignore").open("x") as file:
                file.write("# made by verify\n*\n")
        except OSError as error:
            raise OutputError(f"{top / '.gitignore'}: it cannot be written: {error.strerror}") from error


def write_texts(texts: Mapping[str, str], folder: Path, *, ours: bool) -> None:
    """Write documents by their names, as `write_report` says.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    files = {_checked(name): text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    files[LIST] = as_list(files)
    try:
        if not (ours and replace_folder(files, folder)):
            replace_files(files, folder, ours=ours)
    except OSError as error:
        raise OutputError(f"the report cannot be written to {folder}: {error.strerror or error}") from error


def print_document(report: RunReport, renderer: Renderer) -> None:
    """Write one document to standard output, and nothing else.

    Raises:
        OutputError: standard output takes no more.
        BrokenPipeError: its reader has closed it.
    """
    print_text(renderer.render(report))


def print_text(document: str) -> None:
    """Write a document that is rendered already to standard output, and nothing else.

    Raises:
        OutputError, BrokenPipeError: as `print_document`.
    """
    data = document.encode("utf-8", "backslashreplace")
    with standard_output():
        sys.stdout.flush()
        sys.stdout.buffer.write(data if data.endswith(b"\n") else data + b"\n")
        sys.stdout.buffer.flush()


def _checked(name: str) -> str:
    path = PurePath(name)
    if not is_below(name) or path.parts[0] in (NAME, LIST):
        raise OutputError(f'a report format wants to write "{name}", which is no name for a file of a report')
    return path.as_posix()
