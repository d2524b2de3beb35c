"""What a repository contains, as far as a first configuration needs it: read from names and text, nothing imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from verifier.discovery import walk
from verifier.sources import read_regular

_TESTS = frozenset({"tests", "test"})
_SOURCE_ROOTS = frozenset({"src", "lib", "python", "source"})
_NEVER = frozenset({"docs", "doc", "build", "dist", "site", "vendor", "third_party", "external"})
_ASIDE = frozenset(
    {"examples", "example", "scripts", "script", "tools", "benchmarks", "benchmark", "notebooks", "demo", "demos"}
    | {"bin", "ci", "dev", "experiments", "recipes"}
)
_WHERE_TRAINING_STANDS = frozenset({"scripts", "script", "experiments", "recipes"})  # of a package, beside it
_TRAINS = re.compile(rb"\.backward\(|\b\w*Trainer\(|\.fit\(")
_NOT_SCRIPTS = frozenset({"setup.py", "conftest.py", "noxfile.py", "toxfile.py", "versioneer.py", "tasks.py"})
_MOST_SWITCHES = 2
_LONGEST_LIST = 12  # of scripts at the root, or of test files outside test folders, that are named one by one
_TORCH = re.compile(rb"^[ \t]*(?:import|from)[ \t]+torch\b", re.MULTILINE)
_AMP = re.compile(rb"\bautocast\b|\bGradScaler\b|\bmixed_precision\b|\b(?:bf)?16-mixed\b|\b(?:bf|fp)16[ \t]*=")
_FRAMEWORKS = {  # name -> its packages, and what a file that uses it says
    "Lightning": (
        {"lightning", "pytorch_lightning", "lightning_fabric"},
        re.compile(rb"^[ \t]*(?:import|from)[ \t]+(?:lightning|pytorch_lightning|lightning_fabric)\b", re.MULTILINE),
    ),
    "the Trainer of transformers": (
        {"transformers"},
        re.compile(rb"\bfrom[ \t]+transformers\b[^#]{0,2000}?\b\w*Trainer\b"),
    ),
    "accelerate": ({"accelerate"}, re.compile(rb"^[ \t]*(?:import|from)[ \t]+accelerate\b", re.MULTILINE)),
}


_SWITCH = re.compile(
    rb"""add_argument\(\s*["'](?:-\w["']\s*,\s*["'])?(?P<flag>--[\w-]*(?:amp|[bf]p?16|mixed[-_]precision|precision))["']"""
    rb"""(?P<rest>[^)]{0,400})"""
)
_HF_ARGUMENTS = (b"HfArgumentParser", b"TrainingArguments")
_MAIN = re.compile(rb"^if[ \t]+__name__[ \t]*==", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A training script and the options that switch its mixed precision on and off."""

    run: tuple[str, ...]
    amp: tuple[str, ...]
    fp32: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What to verify, and what was recognised in it.

    Args:
        files: globs that each match something, relative to the root.
        aside: top-level folders with Python files that were not taken.
        exclude: files that a glob of `files` matches and that are no code of the project's own.
        python_files: how many files the globs select.
        amp: the selected files that speak of mixed precision.
        frameworks: training framework -> the selected files that use it.
        interpreter: of a virtual environment in the repository.
        switches: scripts whose command line switches AMP, a few of them.
    """

    files: tuple[str, ...]
    aside: tuple[str, ...] = ()
    source_roots: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    python_files: int = 0
    amp: tuple[str, ...] = ()
    frameworks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    interpreter: str | None = None
    switches: tuple[Switch, ...] = ()


def read_layout(root: Path) -> Layout | None:
    """Return what is below `root`; None where there is no Python file to verify."""
    paths = [PurePosixPath(path.relative_to(root).as_posix()) for path in walk(root, root=root)]
    python = [path for path in paths if path.suffix == ".py" and (root / path).is_file()]
    code = [path for path in python if not _is_test(path) and path.parts[0] not in _TESTS]
    texts = {path: _text(root / path) for path in code}
    packaged = any((root / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    folders = _folders(texts, packaged=packaged)
    scripts = [path.name for path in code if len(path.parts) == 1]
    files, exclude = _scripts(scripts)
    files = (*(f"{_literal(folder)}/**/*.py" for folder in folders), *files)
    if not files:
        return None
    selected = [path for path in code if path.parts[0] in (*folders, *scripts) and str(path) not in _NOT_SCRIPTS]
    return Layout(
        files=files,
        aside=tuple(sorted({path.parts[0] for path in code if len(path.parts) > 1} - {*folders, *_NEVER})),
        source_roots=_source_roots(code, folders),
        exclude=exclude,
        tests=_tests(python),
        python_files=len(selected),
        amp=tuple(str(path) for path in selected if _AMP.search(texts[path])),
        frameworks=_frameworks(selected, texts),
        switches=tuple(_switches(selected, texts))[:_MOST_SWITCHES],
        interpreter=next((name for name in (".venv/bin/python", "venv/bin/python") if (root / name).is_file()), None),
    )


def _text(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError:
        return b""


def _is_test(path: PurePosixPath) -> bool:
    """Say whether pytest would collect the file by its name."""
    return path.name.startswith("test_") or path.stem.endswith("_test")


def _folders(texts: Mapping[PurePosixPath, bytes], *, packaged: bool) -> tuple[str, ...]:
    """Return the top-level folders that hold code of the project.

    Of a project that is built as a package, those are its packages, and folders of scripts beside them that train.
    Elsewhere every folder counts, what usually stands aside only where a file of it uses torch. Where that leaves
    nothing, whatever there is counts.
    """
    tops = sorted({path.parts[0] for path in texts if len(path.parts) > 1} - _NEVER)
    main = [top for top in tops if top not in _ASIDE]
    packages = [top for top in main if any(_in_package(path, top) for path in texts)]
    if packaged and packages:
        trains = {path.parts[0] for path, text in texts.items() if _MAIN.search(text) and _TRAINS.search(text)}
        return tuple(top for top in tops if top in packages or top in _WHERE_TRAINING_STANDS & trains)
    torch = {path.parts[0] for path, text in texts.items() if _TORCH.search(text)}
    scripts = any(len(path.parts) == 1 and path.name not in _NOT_SCRIPTS for path in texts)
    return tuple(top for top in tops if top in main or top in torch or not (main or scripts))


def _in_package(path: PurePosixPath, top: str) -> bool:
    """Say whether the file makes `top` a package, or a folder of packages that has one of the usual names."""
    depth = 3 if top in _SOURCE_ROOTS else 2
    return path.name == "__init__.py" and path.parts[0] == top and len(path.parts) <= depth


def _scripts(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what selects the scripts at the root, and what must be excluded from it."""
    wanted = [name for name in names if name not in _NOT_SCRIPTS]
    if len(wanted) <= _LONGEST_LIST:
        return tuple(_literal(name) for name in wanted), ()
    return ("*.py",), tuple(name for name in names if name in _NOT_SCRIPTS)


def _source_roots(code: Sequence[PurePosixPath], folders: Sequence[str]) -> tuple[str, ...]:
    """Return the folders besides the root and `src`, which always count, from which packages are imported."""
    return tuple(
        folder
        for folder in folders
        if folder in _SOURCE_ROOTS - {"src"} and PurePosixPath(folder, "__init__.py") not in code
    )


def _tests(python: Sequence[PurePosixPath]) -> tuple[str, ...]:
    """Return test folders, and test files outside of them where they are few enough to be named."""
    folders, loose = set(), []
    for path in filter(_is_test, python):
        inside = next((number for number, part in enumerate(path.parts[:-1]) if part in _TESTS), None)
        if inside is not None:
            folders.add("/".join(path.parts[: inside + 1]))
        elif path.parts[0] not in _NEVER:
            loose.append(str(path))
    return (*sorted(folders), *(loose if len(loose) <= _LONGEST_LIST else ()))


def _frameworks(selected: Sequence[PurePosixPath], texts: Mapping[PurePosixPath, bytes]) -> dict[str, tuple[str, ...]]:
    folders = {part for path in selected for part in path.parts[:-1]}
    users = {
        name: tuple(str(path) for path in selected if pattern.search(texts[path]))
        for name, (packages, pattern) in _FRAMEWORKS.items()
        if not packages & folders  # a framework's own repository uses itself
    }
    return {name: paths for name, paths in users.items() if paths}


def _switches(selected: Sequence[PurePosixPath], texts: Mapping[PurePosixPath, bytes]) -> Iterator[Switch]:
    for path in selected:
        text = texts[path]
        if not _MAIN.search(text) or not str(path).isprintable():
            continue
        if all(word in text for word in _HF_ARGUMENTS):
            yield Switch(run=(str(path), "--max_steps", "20"), amp=("--bf16",), fp32=())
        elif match := _SWITCH.search(text):
            flag = match["flag"].decode("ascii", "replace")
            if b"store_true" in match["rest"]:
                yield Switch(run=(str(path),), amp=(flag,), fp32=())
            elif "precision" in flag:
                off = "no" if b'"no"' in match["rest"] or "mixed" in flag else "32-true"
                yield Switch(run=(str(path),), amp=(flag, "bf16" if off == "no" else "bf16-mixed"), fp32=(flag, off))


def _literal(name: str) -> str:
    """Write a name so that a glob matches exactly it."""
    return re.sub(r"[*?\[]", r"[\g<0>]", name)
