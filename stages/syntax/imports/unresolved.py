"""Decides which unresolved imports are findings, and how bad: IMP001 for the project's own, IMP002 for all others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stages._source.dependencies import Declared, is_known_distribution
from stages.syntax.imports.arriving import Arriving
from stages.syntax.imports.hosts import host_of
from stages.syntax.imports.missing import Judged, told
from stages.syntax.imports.places import Place
from stages.syntax.imports.registered import Registered
from verifier.api import Location, Severity, is_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from stages._source.dependencies import Dependencies
    from stages._source.records import ImportSite
    from stages.syntax.imports.built import BuiltModules
    from stages.syntax.imports.exports import Exports
    from stages.syntax.imports.git_submodules import GitSubmodules
    from stages.syntax.imports.graph import Suspect
    from stages.syntax.imports.places import Locator
    from stages.syntax.imports.statements import ImportRecord
    from verifier.api import Finding

_CHECKED = re.compile(
    rb"(?:is_|has_|_)(\w+?)_(?:available|AVAILABLE|installed|INSTALLED)\b"
    rb"|(?:find_spec|available|RequirementCache|importorskip|installed)\(\s*f?[\"']([\w-]+)"
)
_ASKING = (
    *(b"available", b"AVAILABLE", b"installed", b"INSTALLED"),
    *(b"find_spec(", b"RequirementCache(", b"importorskip("),
)
_TO_NEXT_LINE = re.compile(rb"[^\n]*\s*[^\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the judgement rests on.

    Args:
        texts: the bytes of the project's files by path.
        installed_by: the distributions that a file installs itself, as notebooks do.
    """

    locator: Locator
    exports: Exports
    dependencies: Dependencies
    built: BuiltModules
    submodules: GitSubmodules
    records_near: Callable[[str, int], tuple[ImportRecord, ...]]
    is_test: Callable[[str], bool]
    texts: Mapping[str, bytes]
    installed_by: Callable[[str], frozenset[str]]


class Unresolved:
    """Looks at suspects one by one, with syntax trees, then joins them by missing target."""

    def __init__(self, known: Knowledge) -> None:
        self._locator = known.locator
        self._exports = known.exports
        self._dependencies = known.dependencies
        self._built = known.built
        self._submodules = known.submodules
        self._arriving = Arriving(known.locator.environment.facts.path)
        self._registered = Registered(known.texts, known.is_test)
        self._records_near = known.records_near
        self._is_test = known.is_test
        self._texts = known.texts
        self._installed_by = known.installed_by
        self._assigned: dict[str, bool] = {}
        self._changing: dict[str, bool] = {}
        self._declared: dict[str, Declared] = {}
        self._checked: frozenset[str] | None = None

    def findings(self, suspects: Iterable[Suspect]) -> tuple[Finding, ...]:
        """Return one finding per missing target, with every place that asks for it."""
        groups: dict[tuple[str, str], list[Judged]] = {}
        for suspect in suspects:
            judged = self._judge(suspect)
            if judged is not None:
                groups.setdefault((judged.code, judged.target), []).append(judged)
        return tuple(told(self._eased(places)) for _, places in sorted(groups.items()))

    def _eased(self, places: list[Judged]) -> list[Judged]:
        """Lower lazy imports of a module that the project knows to be optional, for it asks or guards elsewhere."""
        doubtful = [place for place in places if place.lazy and place.severity > Severity.INFO]
        if places[0].code != "IMP002" or not doubtful or "." in places[0].target:
            return places
        target = places[0].target.lower()
        asked = any(name == target or name.startswith(f"{target}_") for name in self._checked_names())
        if not asked and not any(place.optional for place in places):
            return places
        reason = "not installed here; the project asks elsewhere whether it is"
        eased = {id(place): replace(place, severity=Severity.INFO, reason=reason) for place in doubtful}
        return [eased.get(id(place), place) for place in places]

    def _checked_names(self) -> frozenset[str]:
        """Return the lower-case names whose availability some code of the project asks about."""
        if self._checked is None:
            found: set[str] = set()
            for text in self._texts.values():
                if b"vailab" in text or b"AVAILAB" in text or b"nstalled" in text or b"find_spec" in text:
                    pairs = (pair for passage in _asking(text) for pair in _CHECKED.findall(passage))
                    found |= {(one or two).decode().lower().replace("-", "_").strip("_") for one, two in pairs}
            self._checked = frozenset(found)
        return self._checked

    def _judge(self, suspect: Suspect) -> Judged | None:
        record = self._record(suspect.path, suspect.site)
        if record is not None and not record.applies:
            return None
        if suspect.name is not None:
            return self._missing_name(suspect, record)
        if suspect.place.group == "project":
            return self._missing_module(suspect, record)
        return self._missing_external(suspect, record)

    def _record(self, path: str, site: ImportSite) -> ImportRecord | None:
        for record in self._records_near(path, site.line):
            if record.line <= site.line <= record.end_line and record.module == site.module:
                return record
        return None

    def _missing_name(self, suspect: Suspect, record: ImportRecord | None) -> Judged | None:
        found, name = suspect.place.found, suspect.name
        assert found is not None
        assert name is not None
        if found.file is not None and self._exports.changes_itself(found.file):
            return None
        if found.file is None and self._outside_or_elsewhere(suspect.path, found.name, name):
            return None
        if self._built.makes(found.folders, name, found.name) or self._offered_elsewhere(suspect, name):
            return None
        if self._registered.may_hold(f"{found.name}.{name}"):
            return None
        if record is not None and record.kind == "type-only" and self._is_in_stub(found.file, name):
            return None
        if self._is_assigned_from_outside(name):
            return None
        where = self._locator.layout.relative(found.file) if found.file else None
        message = f"cannot import name '{name}' from '{found.name}'" + (
            f": {where} binds no such name and there is no such submodule"
            if where
            else ": the package has no __init__.py, and no submodule of that name"
        )
        return self._project(suspect, record, f"{found.name}:{name}", message)

    def _missing_module(self, suspect: Suspect, record: ImportRecord | None) -> Judged | None:
        place = suspect.place
        if place.problem == "beyond-top":
            message = f"attempted relative import beyond top-level package: '{place.missing}' leads above every package"
            return self._project(suspect, record, f"{suspect.path}:{place.missing}", message)
        above = place.found
        last = place.missing.rpartition(".")[2]
        if above is not None and above.kind == "namespace" and self._is_beside_only(suspect.path, above.name):
            top = above.name.partition(".")[0]
            outside = Place(suspect.site.module, "third-party", None, "missing", top)
            return self._missing_external(replace(suspect, place=outside), record)
        if above is not None:
            if self._built.makes(above.folders, last, above.name) or self._registered.may_hold(place.missing):
                return None
            if above.file is not None and self._exports.changes_its_path(above.file):
                return None
            if above.kind == "namespace" and self._outside_or_elsewhere(suspect.path, above.name, last):
                return None
        if place.problem == "not-a-package" and above is not None:
            message = f"No module named '{place.missing}': '{above.name}' is a module, not a package"
        else:
            message = f"No module named '{place.missing}'"
        return self._project(suspect, record, place.missing, message)

    def _is_beside_only(self, path: str, package: str) -> bool:
        """Say whether a folder without __init__.py lies beside the file only, and the file is imported from above.

        `import top.part` in `pkg/a.py` finds a folder `pkg/top` where `pkg` itself is on the import path; a file that
        the project imports as `pkg.a` is not started from there.
        """
        layout = self._locator.layout
        local = layout.search_root(path)
        others = tuple(folder for folder in layout.search_path(path) if folder != local)
        if local in layout.roots or layout.find(package.partition(".")[0], others) is not None:
            return False
        own = layout.absolute(path).removeprefix(f"{local}/").removesuffix(".py").removesuffix("/__init__")
        longer = f"{local.rpartition('/')[2]}.{own.replace('/', '.')}"
        word = longer.encode()
        asked = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+(?:\w+\.)*%s\b" % re.escape(word))
        return any(asked.search(text) for text in self._texts.values() if word in text)

    def _outside_or_elsewhere(self, path: str, package: str, name: str) -> bool:
        """Say whether a folder without __init__.py shares its name with something that may really be meant."""
        top = package.partition(".")[0]
        declared = self._dependencies.declared_for(path)
        if "." not in package and (declared.brings(top) or declared.brings(name) or is_known_distribution(top)):
            return True
        return self._resolves_anywhere(f"{package}.{name}")

    def _offered_elsewhere(self, suspect: Suspect, name: str) -> bool:
        """Say whether another module of the same name, further down the path, has what is asked for."""
        module = suspect.site.module
        if suspect.site.level or suspect.place.found is None:
            return False
        if self._locator.environment.source_of(module) is not None:
            return not self._locator.is_own(suspect.path, module.partition(".")[0])
        for folder in self._locator.layout.search_path(suspect.path):
            other = self._locator.layout.find(module, (folder,))
            if other is None or other.file == suspect.place.found.file:
                continue
            if other.file is None or self._locator.submodule(other, name):
                return True
            every = self._exports.every(other.file)
            if not every.known or name in every.names:
                return True
        return False

    def _is_in_stub(self, file: str | None, name: str) -> bool:
        """Say whether the stub beside a module has a name: type checkers read nothing else."""
        stub = f"{file}i" if file else ""
        if not stub or not is_file(stub):
            return False
        every = self._exports.every(stub)
        return not every.known or name in every.names

    def _is_assigned_from_outside(self, name: str) -> bool:
        """Say whether some file sets an attribute of this name on a module: `module.name = ...`, `setattr(...)`."""
        if name not in self._assigned:
            word = name.encode()  # found at once where it is, unlike the pattern
            escaped = re.escape(word)
            pattern = re.compile(rb"(?:\.%s\s*=[^=])|(?:setattr\([^\n]*['\"]%s['\"])" % (escaped, escaped))
            self._assigned[name] = any(
                not _only_on_self(text, escaped)
                for text in self._texts.values()
                if word in text and pattern.search(text)
            )
        return self._assigned[name]

    def _resolves_anywhere(self, module: str) -> bool:
        """Say whether a module exists somewhere in the project, on no import path that we know of."""
        layout = self._locator.layout
        return any(layout.find(module, (folder,)) for folder in layout.anywhere(module.partition(".")[0]))

    def _project(self, suspect: Suspect, record: ImportRecord | None, target: str, message: str) -> Judged:
        severity, reason = Severity.CRITICAL, "the import raises whenever this code runs"
        if record is not None and record.kind == "type-only":
            severity, reason = Severity.LOW, "it is imported for type checking only"
        elif record is not None and record.guarded:
            severity, reason = Severity.LOW, "what happens without it is provided for, so it is silently missing"
        elif submodule := self._absent_submodule(suspect):
            severity, reason = Severity.LOW, f"git submodule {submodule} is not checked out"
        elif self._is_shared(suspect):
            severity, reason = Severity.LOW, "the package is a namespace that other distributions share"
        elif self._path_is_changed(suspect.path):
            severity, reason = Severity.LOW, "sys.path is changed here, so it may exist elsewhere"
        elif not suspect.site.level and suspect.name is None and self._resolves_anywhere(suspect.site.module):
            severity, reason = Severity.LOW, "it exists in a folder of the project that is on no import path known here"
        elif self._is_test(suspect.path):
            severity = Severity.MEDIUM
            reason = f"the test {'module cannot be collected' if suspect.site.eager else 'that imports it fails'}"
        return self._judged(("IMP001", target), suspect, record, message, (severity, reason))

    def _missing_external(self, suspect: Suspect, record: ImportRecord | None) -> Judged | None:
        place = suspect.place
        top = place.missing.partition(".")[0]
        if self._resolves_anywhere(place.name) or self._built.makes(self._locator.layout.roots, top):
            return None
        if record is not None and record.kind == "type-only" and self._has_stubs(top):
            return None
        declared = self._declared_for(suspect.path)
        severity, reason = self._external_severity(suspect, record, declared)
        if not declared.names and severity > Severity.LOW:
            severity, reason = Severity.LOW, "not installed here; the project declares no dependencies at all"
        message = f"No module named '{place.missing}'"
        return self._judged(("IMP002", place.missing), suspect, record, message, (severity, reason))

    def _declared_for(self, path: str) -> Declared:
        if path not in self._declared:
            text = self._texts.get(path, b"").decode("utf-8", "replace")
            self._declared[path] = self._dependencies.declared_for(path, text) | Declared(self._installed_by(path))
        return self._declared[path]

    def _external_severity(
        self, suspect: Suspect, record: ImportRecord | None, declared: Declared
    ) -> tuple[Severity, str]:
        place = suspect.place
        if record is not None and (record.guarded or record.optional or record.kind == "type-only"):
            return Severity.INFO, "not installed here; the import is optional"
        if "." in place.missing:  # the distribution is there, this part of it is not
            certain = record is not None and record.kind == "eager"
            severity = Severity.HIGH if certain else Severity.LOW
            return severity, f"'{place.missing.rpartition('.')[0]}' is installed here and has no such module"
        if declared.brings(place.name):
            return Severity.INFO, "declared, but not installed here"
        if host := host_of(suspect.path, place.missing):
            return Severity.LOW, f"no distribution has to bring it: {host} supplies it to the scripts that it runs"
        if self._path_is_changed(suspect.path):
            return (
                Severity.LOW,
                "neither installed here nor declared; sys.path is changed here, so it may exist elsewhere",
            )
        if submodule := self._submodules.called(place.missing):
            return Severity.LOW, f"git submodule {submodule} is not checked out"
        if not declared.complete:
            return Severity.LOW, "not installed here; setup.py computes dependencies that cannot be read"
        if through := self._arriving.with_declared(declared.names, place.name):
            return Severity.LOW, f"not declared; it comes only because {through}, which is declared, needs it"
        return Severity.HIGH, "neither installed here nor declared in the project's metadata or requirements"

    def _has_stubs(self, top: str) -> bool:
        """Say whether type checkers know a module that only they will look for."""
        return top == "_typeshed" or self._locator.environment.has_module(f"{top}-stubs") is True

    def _is_shared(self, suspect: Suspect) -> bool:
        above = suspect.place.found
        return above is not None and above.kind == "namespace" and self._built.shares(above.folders, above.name)

    def _absent_submodule(self, suspect: Suspect) -> str | None:
        """Return the git submodule that is not there and that would hold what is missing."""
        above = suspect.place.found
        if above is None:
            return None
        last = suspect.name or suspect.place.missing.rpartition(".")[2]
        return next((path for folder in above.folders if (path := self._submodules.holding(folder, last))), None)

    def _path_is_changed(self, path: str) -> bool:
        """Say whether the file, or a conftest.py or __init__.py above it, changes where imports are looked up."""
        return b"sys.path" in self._texts.get(path, b"") or self._changes_path(path.rpartition("/")[0])

    def _changes_path(self, folder: str) -> bool:
        if folder not in self._changing:
            files = (f"{folder}/{name}" if folder else name for name in ("conftest.py", "__init__.py"))
            texts = (self._locator.bytes_of(self._locator.layout.absolute(file)) for file in files)
            above = bool(folder) and self._changes_path(folder.rpartition("/")[0])
            self._changing[folder] = above or any(b"sys.path" in text for text in texts)
        return self._changing[folder]

    def _judged(
        self,
        identity: tuple[str, str],
        suspect: Suspect,
        record: ImportRecord | None,
        message: str,
        ruling: tuple[Severity, str],
    ) -> Judged:
        line = record.line if record else suspect.site.line
        return Judged(
            code=identity[0],
            target=identity[1],
            severity=ruling[0],
            message=message,
            reason=ruling[1],
            location=Location(path=suspect.path, line=line, column=record.column if record else 1),
            lazy=record is not None and record.kind == "lazy",
            optional=record is not None and (record.guarded or record.optional),
        )


def _asking(text: bytes) -> Iterator[bytes]:
    """Yield what `_CHECKED` may match: lines with a word of it, each up to the end of the next that is not blank."""
    for word in _ASKING:
        at = text.find(word)
        while at >= 0:
            passage = _TO_NEXT_LINE.match(text, at)
            yield text[text.rfind(b"\n", 0, at) + 1 : passage.end() if passage else len(text)]
            line_end = text.find(b"\n", at)
            at = text.find(word, line_end) if line_end >= 0 else -1


def _only_on_self(text: bytes, escaped: bytes) -> bool:
    """Say whether every assignment to the attribute is one on `self` or `cls`, which no module is."""
    found = re.findall(rb"(\w+)\s*\.%s\s*=[^=]" % escaped, text)
    return bool(found) and all(owner in (b"self", b"cls") for owner in found) and b"setattr(" not in text
