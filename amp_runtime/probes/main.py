"""The harness process: shuts itself in, preloads, opens the project's paths, runs every unit, and says so."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import platform
import signal
import sys
import weakref
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..wire import GO, Hello, Request, from_json
from . import guard, imports, process_tree, scripts, selftest, shared_code, suite, workloads
from .confine import confine
from .emit import ChannelLostError, Writer, decode, keep_json
from .failure import Project, safe_text
from .keeper import stay_outside
from .relocate import Relocation
from .supervise import NoProcessError, Supervisor, VerifierGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .child import Unit


def _performance(request: Request, startup: frozenset[str]) -> Iterable[Unit]:
    from . import performance  # noqa: PLC0415 - it loads more of the standard library than other projects may find loaded

    return performance.units(request, startup)


_PROBES: dict[str, Callable[[Request, frozenset[str]], Iterable[Unit]]] = {
    "imports": imports.units,
    "tests": suite.units,
    "workloads": workloads.units,
    "scripts": scripts.units,
    "performance": _performance,
}
_PACKAGE = __name__.partition(".")[0]


def run(request_path: str, startup: frozenset[str]) -> int:
    with open(request_path, encoding="ascii") as file:
        request = from_json(Request, decode(file.read()))
    os.unlink(request_path)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started us may have it ignored, and then no end is seen
    os.set_inheritable(request.channel_fd, False)
    os.set_inheritable(request.lifeline_fd, False)
    session = os.getpid()
    try:
        mechanisms = confine(request.cage, stay_outside(request))
        layers = selftest.layers(request.cage, session) | mechanisms.layers
    except OSError as error:
        reason = f"it cannot be shut in: {error.strerror or error}"
        Writer(request.channel_fd, request.nonce).send("unable", reason=reason)
        return 1
    keep_json()
    channel = Writer(request.channel_fd, request.nonce)
    preloaded, missing = _preload(request.preload)
    missing |= {name: "not installed" for name in request.needs if name not in missing and find_spec(name) is None}
    hello = Hello(
        python=platform.python_version(),
        preloaded=preloaded,
        missing=missing,
        layers=layers,
        mechanisms=mechanisms.texts,
    )
    channel.send("hello", value=hello)
    if os.read(request.lifeline_fd, 1) != GO:
        return 1
    if layers["writes-outside-denied"]:
        _show_history(request)
    return _work(request, channel, startup)


def _show_history(request: Request) -> None:
    """Let programs that ask git find the repository. Only where the cage keeps them from writing to it."""
    with contextlib.suppress(OSError):
        os.symlink(os.path.join(request.origin, ".git"), os.path.join(request.root, ".git"))


def _work(request: Request, channel: Writer, startup: frozenset[str]) -> int:
    relocation = Relocation(request.origin, request.root)
    relocation.install()
    sys.path[:0] = list(request.paths)
    guard.install(request.origin, request.installation, request.paths)
    importlib.invalidate_caches()
    if optimizers := sys.modules.get(f"{_PACKAGE}.probes.optimizers"):
        optimizers.give_way(request.paths)
    shared_code.share(os.path.join(request.root, path) for path in request.shared)
    _make_forks_cheap()
    try:
        return _run_units(request, channel, Project(request.root, relocation), startup)
    except (VerifierGoneError, ChannelLostError):
        process_tree.kill_descendants()
        return 1


def _make_forks_cheap() -> None:
    """Leave out of every unit what concerns only that which was loaded before it was forked."""
    gc.freeze()  # else the first collections of each unit go through all of it, and so copy it
    for one in list(getattr(weakref.finalize, "_registry", ())):  # torch takes 40 ms to deregister its own operators
        one.atexit = False


def _run_units(request: Request, channel: Writer, project: Project, startup: frozenset[str]) -> int:
    supervisor = Supervisor(request, channel, project)
    try:
        for unit in _PROBES[request.probe](request, startup):
            if supervisor.out_of_time():  # what was not begun is missing from the evidence, and counts as such
                break
            supervisor.run(unit)
    except NoProcessError as error:
        channel.send("unable", reason=str(error))
        return 1
    channel.send("end")
    return 0


def _preload(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Import what every child would import anyway; no project path is known yet.

    A name that begins with a dot is a module of ours, whose absence is that of a package before it.
    """
    preloaded: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in names:
        if name.startswith("."):
            if not missing:
                importlib.import_module(name, _PACKAGE)
            continue
        try:
            module = importlib.import_module(name)
            preloaded[name] = str(getattr(module, "__version__", "unknown"))
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {safe_text(error)}"
    return preloaded, missing
