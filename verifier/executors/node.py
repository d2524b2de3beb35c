"""What runs on another machine, in a process of its own: one task of a project that was unpacked there.

`python -P -m verifier.executors.node REQUEST ANSWER`, in the project's folder.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import traceback
from pathlib import Path

from verifier import __version__
from verifier.commands import Options, Runner, load_for, ratchet_of, selection_of, terminal_of
from verifier.errors import ExitCode, MachineError, OutputError, UsageError, VerifierError
from verifier.executors.request import Answer, Request, request_from
from verifier.output import documents, parse_formats
from verifier.plugins import load_plugins
from verifier.selection import task_sources
from verifier.shards.stamp import stamp_from

_PR_SET_PDEATHSIG = 1


def main(request: Path, answer: Path) -> None:
    """Do what is asked, and write the answer as a whole: a file that is not there says that this process was lost."""
    _end_with_parent()
    text = _answered(request_from(request.read_text("utf-8")), Path.cwd()).as_json()
    part = answer.with_suffix(".part")
    part.write_text(text, "utf-8")
    part.replace(answer)


def _answered(request: Request, root: Path) -> Answer:
    try:
        return Answer(documents=_verified(request, root))
    except VerifierError as error:
        ours = isinstance(error, (MachineError, OutputError))
        return Answer(error=str(error), code=ExitCode.INTERNAL if ours else ExitCode.USAGE)
    except Exception as error:
        text = f"the verifier itself failed: {type(error).__name__}: {error}\n{traceback.format_exc().rstrip()}"
        return Answer(error=text, code=ExitCode.INTERNAL)


def _verified(request: Request, root: Path) -> dict[str, str]:
    if request.version != __version__:
        raise UsageError(f"that node has verify {__version__}, and this is {request.version}; install the same there")
    plugins = load_plugins()
    options = _here(request.options, root)
    config = load_for(root, options.config_file, plugins)
    selection = selection_of(plugins, options)
    if request.stamp is not None:
        selection = dataclasses.replace(selection, stamp=stamp_from(request.stamp))
    selection = dataclasses.replace(selection, accepted=ratchet_of(options, config, plugins))
    runner = Runner(config=config, plugins=plugins, selection=selection, options=options, terminal=terminal_of(options))
    task = config.tasks[request.task]
    sources = task_sources(config, task)
    sources.checkout = request.checkout
    return dict(documents(runner.run(task, sources), parse_formats(request.formats, plugins.renderers)))


def _here(options: Options, root: Path) -> Options:
    placed = {name: getattr(options, name) for name in ("config_file", "baseline")}
    return dataclasses.replace(options, **{name: root / path for name, path in placed.items() if path is not None})


def _end_with_parent() -> None:
    """Have the kernel end this process when whoever started it is killed."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)
