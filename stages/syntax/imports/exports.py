"""Decides which names a module offers: to `from m import n`, and to `from m import *`."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source import opcodes
from stages._source.bytecode import read
from stages._source.compiling import compile_bytes
from stages._source.patterns import late
from stages._source.records import FileScan
from stages._source.walking import walk
from stages.syntax.imports.named_imports import may_import_by_name, named_imports
from stages.syntax.imports.tree_scan import is_dynamic, scan_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from stages._source.records import ImportSite
    from stages.syntax.imports.named_imports import NamedImport
    from stages.syntax.imports.places import Locator

_SIZE_LIMIT = 600_000
_ALWAYS = frozenset({
    "__name__", "__doc__", "__file__", "__path__", "__spec__", "__loader__", "__package__", "__dict__", "__cached__",
    "__builtins__", "__annotations__", "__class__", "__dir__",
})  # fmt: skip
# what a compiled file cannot show and the syntax tree must be asked for
_PATH_CHANGES = (b"__path__", b"extend_path", b"sys.modules")
_META_PATH = late(rb"meta_path(?<!\wmeta_path)\b")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a module, or that they cannot be known."""

    names: frozenset[str] = frozenset()
    known: bool = True


_UNKNOWN = Names(known=False)


def _glance(file: str, data: bytes) -> FileScan | None:
    """Return the facts of a file that bytecode alone settles; None where only the syntax tree does."""
    code = compile_bytes(data, file).code if data and opcodes.READABLE else None
    if code is None:
        return None
    reading = read(code)
    if reading.hints or reading.star:
        return None
    dynamic = "__getattr__" in reading.bindings
    return FileScan(file, imports=reading.imports, bindings=reading.bindings, dynamic=dynamic)


class Exports:
    """Names by file, each established once. Files are absolute paths, inside the project or outside."""

    def __init__(self, locator: Locator, tree_of: Callable[[str], ast.Module | None]) -> None:
        self._locator = locator
        self._tree_of = tree_of
        self._scans: dict[str, FileScan] = {}
        self._all: dict[str, Names] = {}
        self._public: dict[str, Names] = {}
        self._every: dict[str, Names] = {}
        self._named: dict[str, tuple[NamedImport, ...]] = {}

    def scan(self, file: str) -> FileScan:
        """Return the facts of a file: those of the fast pass, or else from its syntax tree."""
        known = self._locator.scan_of(file) or self._scans.get(file)
        if known is None:
            known = _glance(file, self._locator.bytes_of(file)) or scan_tree(file, self._tree_of(file))
            self._scans[file] = known
        return known

    def named_imports(self, file: str) -> tuple[NamedImport, ...]:
        """Return the calls that import a module of a name that is written out."""
        data = self._locator.bytes_of(file)
        if b"import_module" not in data and b"__import__" not in data:
            return ()
        if file not in self._named:
            tree = self._tree_of(file) if may_import_by_name(data) else None
            is_package = file.endswith("/__init__.py")
            self._named[file] = named_imports(tree, is_package=is_package) if tree is not None else ()
        return self._named[file]

    def changes_itself(self, file: str) -> bool:
        """Say whether a module's text may add names that no statement shows."""
        data = self._locator.bytes_of(file)
        return self.scan(file).dynamic or b"__getattr__" in data or self.changes_its_path(file)

    def changes_its_path(self, file: str) -> bool:
        """Say whether a package's text may have its submodules found elsewhere: a module `__getattr__` cannot."""
        text = self._locator.bytes_of(file)
        return any(word in text for word in _PATH_CHANGES) or _META_PATH.search(text) is not None

    def every(self, file: str) -> Names:
        """Return all names that a module may have once it is initialised, those of star imports included."""
        if file not in self._every:
            self._every[file] = Names()  # a star cycle adds nothing to itself
            self._every[file] = self._collect(file)
        return self._every[file]

    def _collect(self, file: str) -> Names:
        scan = self.scan(file)
        if scan.problem is not None or scan.dynamic:
            return _UNKNOWN
        stars = self.from_stars(file)
        if not stars.known:
            return _UNKNOWN
        return Names(scan.bindings | stars.names | _ALWAYS)

    def from_stars(self, file: str) -> Names:
        """Return what all star imports of a file bring together."""
        names: frozenset[str] = frozenset()
        for site in self.scan(file).imports:
            if site.names == ("*",):
                brought = self._of_star(file, site)
                if not brought.known:
                    return _UNKNOWN
                names |= brought.names
        return Names(names)

    def _of_star(self, file: str, site: ImportSite) -> Names:
        place = self._locator.locate(file, site.module, site.level)
        if place.problem is not None:
            return _UNKNOWN  # the import itself is what fails, before any name that it might have brought is read
        if place.found is None or place.found.kind == "compiled":
            source = self._locator.external_source(place.name) if place.group != "project" else None
            return self.public(source) if source else _UNKNOWN
        if place.found.file is None:
            return Names()  # a namespace package has no names of its own
        return self.public(place.found.file)

    def public(self, file: str) -> Names:
        """Return what `from module import *` binds."""
        if file not in self._public:
            self._public[file] = Names()
            self._public[file] = self._public_names(file)
        return self._public[file]

    def _public_names(self, file: str) -> Names:
        scan = self.scan(file)
        if scan.problem is not None or (scan.dynamic and self._is_obscure(file)):
            return _UNKNOWN
        if "__all__" in scan.bindings:
            return self.all_of(file)
        stars = self.from_stars(file)
        if not stars.known:
            return _UNKNOWN
        names = scan.bindings | stars.names | self._submodules(file)
        return Names(frozenset(name for name in names if not name.startswith("_")))

    def _is_obscure(self, file: str) -> bool:
        """Say whether more than a module `__getattr__`, which star imports do not ask, hides names."""
        if "__getattr__" not in self.scan(file).bindings:
            return True
        tree = self._tree_of(file)
        return tree is None or is_dynamic(tree)

    def _submodules(self, file: str) -> frozenset[str]:
        """Return submodules that a package's own file imports: each becomes an attribute of the package."""
        if not file.endswith("/__init__.py"):
            return frozenset()
        folder = file.rpartition("/")[0]
        found = set()
        for site in self.scan(file).imports:
            place = self._locator.locate(file, site.module, site.level)
            for target in (place, *self._locator.submodules_named(place, site.names or ())):
                path = target.found.file or "" if target.found else ""
                if path.startswith(f"{folder}/"):
                    found.add(path[len(folder) + 1 :].partition("/")[0].removesuffix(".py"))
        return frozenset(found - {"__init__"})

    def all_of(self, file: str) -> Names:
        """Return the names in a module's `__all__`; unknown where they are computed."""
        if file not in self._all:
            self._all[file] = _UNKNOWN
            tree = self._tree_of(file)
            if tree is not None:
                self._all[file] = self._evaluate_all(file, tree)
        return self._all[file]

    def _evaluate_all(self, file: str, tree: ast.Module) -> Names:
        names: frozenset[str] | None = None
        for node in walk(tree):
            value = _all_value(node)
            if value is not None:
                found = self._list_of(file, value)
            elif isinstance(node, ast.ImportFrom) and any(_binds_all(alias) for alias in node.names):
                found = self._all_imported(file, node)
            else:
                continue
            if not found.known:
                return _UNKNOWN
            names = found.names if names is None else names | found.names
        return _UNKNOWN if names is None else Names(names)  # what is not assigned is bound in some other way

    def _all_imported(self, file: str, node: ast.ImportFrom) -> Names:
        """Resolve `from module import __all__`."""
        place = self._locator.locate(file, node.module or "", node.level)
        source = place.found.file if place.found is not None and place.found.kind != "compiled" else None
        if source is None and place.group != "project":
            source = self._locator.external_source(place.name)
        plain = all(alias.name == "__all__" for alias in node.names if _binds_all(alias))
        return self.all_of(source) if source is not None and plain else _UNKNOWN

    def _list_of(self, file: str, value: ast.expr) -> Names:
        if isinstance(value, ast.List | ast.Tuple | ast.Set):
            return self._items_of(file, value.elts)
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
            left, right = self._list_of(file, value.left), self._list_of(file, value.right)
            return Names(left.names | right.names, left.known and right.known)
        if isinstance(value, ast.Call) and _is_name(value.func, ("list", "tuple", "sorted", "set")) and value.args:
            return self._list_of(file, value.args[0])
        if isinstance(value, ast.Attribute) and value.attr == "__all__":
            return self._all_elsewhere(file, value.value)
        if isinstance(value, ast.Name) and value.id == "__all__":
            return Names()  # __all__ = __all__ + [...]
        return _UNKNOWN

    def _items_of(self, file: str, items: list[ast.expr]) -> Names:
        names: frozenset[str] = frozenset()
        for item in items:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                names |= {item.value}
            elif isinstance(item, ast.Starred):
                inner = self._list_of(file, item.value)
                if not inner.known:
                    return _UNKNOWN
                names |= inner.names
            else:
                return _UNKNOWN
        return Names(names)

    def _all_elsewhere(self, file: str, module: ast.expr) -> Names:
        """Resolve `name.__all__` where `name` was imported as a submodule."""
        if not isinstance(module, ast.Name):
            return _UNKNOWN
        for site in self.scan(file).imports:
            if site.names and module.id in site.names:
                place = self._locator.locate(file, site.module, site.level)
                for target in self._locator.submodules_named(place, (module.id,)):
                    if target.found and target.found.file:
                        return self.all_of(target.found.file)
        return _UNKNOWN


def _all_value(node: ast.AST) -> ast.expr | None:
    """Return what a statement adds to `__all__`, if it does."""
    if isinstance(node, ast.Assign) and any(_is_name(target, ("__all__",)) for target in node.targets):
        return node.value
    if isinstance(node, ast.AnnAssign | ast.AugAssign) and _is_name(node.target, ("__all__",)):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_name(node.func.value, ("__all__",)):
        argument = node.args[0] if len(node.args) == 1 else None
        if node.func.attr == "append" and argument is not None:
            return ast.List([argument], ast.Load())
        if node.func.attr == "remove":
            return None  # fewer names than listed does no harm
        return argument or ast.Constant(None)
    return None


def _binds_all(alias: ast.alias) -> bool:
    return (alias.asname or alias.name) == "__all__"


def _is_name(node: ast.expr, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Name) and node.id in names
