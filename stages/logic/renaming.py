"""The edits that turn a file's old AMP names into those of torch.amp, or the word that some cannot be turned."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.rewriting.arguments import name as by_keyword
from stages._source.rewriting.arguments import put_first, put_last
from stages.logic.constructors import autocasts, bind, scalers
from stages.logic.deprecated import is_deprecated, today
from stages.logic.deprecated_uses import deprecated_aliases, deprecated_imports, deprecated_uses
from verifier.api import Edit

if TYPE_CHECKING:
    from stages._source.rewriting.reading import Reading
    from stages.logic.view import View

_OLD = late(r"torch\.(cuda|cpu)\.amp\.")
_GETTER = late(r"_(gpu|cpu|ipu|hpu|xla)_")


class Renaming:
    """Everything that one file says with old names.

    Attributes:
        whole: every place can be rewritten; else nothing is to be.
        names: the old names, dotted.
        imported: the names that the file has by imports which change.
    """

    def __init__(self, view: View, read: Reading) -> None:
        self._view = view
        self._read = read
        self.edits: list[Edit] = []
        self.whole = True
        self.imported: set[str] = set()
        uses = deprecated_uses(view)
        imports = deprecated_imports(view)
        self.names = {name for _, name, _ in (*uses, *imports)}
        self._seen = {id(node) for node, _, _ in uses}
        self._bases: dict[str, list[ast.Attribute]] = {}  # uses through a name for torch.cuda.amp itself, by that name
        for statement in dict.fromkeys(node for node, _, _ in imports):
            assert isinstance(statement, ast.ImportFrom)
            self._import(statement)
        for node, name, _ in uses:
            assert isinstance(node, ast.expr)
            self._use(node, name)
        for name, nodes in self._bases.items():
            self._module(name, nodes)

    def _import(self, statement: ast.ImportFrom) -> None:
        """Turn `from torch.cuda.amp import ...`, where every name of it is one of the old ones."""
        module = statement.module or ""
        known = all(is_deprecated(f"{module}.{item.name}") for item in statement.names)
        where = re.compile(rf"from(\s+)({re.escape(module)})\b")
        start, _ = self._read.text.span(statement)
        found = where.match(self._read.text.text, start)
        if not known or found is None:
            self.whole = False
            return
        new = today(f"{module}.{statement.names[0].name}").rpartition(".")[0]
        self.edits.append(Edit(found.start(2), found.end(2), new))
        self.imported |= {item.asname or item.name for item in statement.names}
        self._check_loads()

    def _check_loads(self) -> None:
        """Give up where an imported name is used in a way that is not rewritten."""
        aliases = deprecated_aliases(self._view)
        for seen in self._view.module.scopes.loads:
            if isinstance(seen.node, ast.Name) and seen.node.id in aliases and id(seen.node) not in self._seen:
                self.whole = False

    def _use(self, node: ast.expr, name: str) -> None:
        call = self._read.parents.get(node)
        called = call if isinstance(call, ast.Call) and call.func is node else None
        if isinstance(node, ast.Attribute):
            self._attribute(node, name)
        if _GETTER.search(name) and not _OLD.match(name):
            self._getter(node, called, name)
        elif name.rpartition(".")[2].startswith("custom_"):
            self._custom(node, called, name)
        elif called is not None:
            self._constructor(called, name)
        elif not self._is_about_type(node, name):
            self.whole = False

    def _attribute(self, node: ast.Attribute, name: str) -> None:
        """Turn `torch.cuda.amp.x` into `torch.amp.x`, whatever torch is called here."""
        text, base = self._read.text, node.value
        if not _OLD.match(name):
            end = text.span(node)[1]
            new = today(name).rpartition(".")[2]
            self.edits.append(Edit(end - len(node.attr), end, new))
            return
        match base:
            case ast.Attribute(attr="amp", value=ast.Attribute(attr="cuda" | "cpu", value=torch)):
                self.edits.append(Edit(text.span(torch)[1], text.span(base)[1], ".amp"))
            case ast.Name(id=module):
                self._bases.setdefault(module, []).append(node)
            case _:
                self.whole = False

    def _module(self, name: str, nodes: list[ast.Attribute]) -> None:
        """Turn the import that gives torch.cuda.amp a name, where nothing else is taken from it."""
        statements = [
            statement
            for statement in self._read.imports()
            if any((item.asname or item.name) == name for item in statement.names)
        ]
        loads = [node for node in self._read.nodes(self._read.tree, ast.Name) if node.id == name]
        if len(statements) != 1 or len(loads) != len(nodes) or len(statements[0].names) != 1:
            self.whole = False
            return
        statement = statements[0]
        start, end = self._read.text.span(statement)
        old = self._read.text.text[start:end]
        new = re.sub(r"\btorch\.(?:cuda|cpu)\b(?=\s+import\b)|\btorch\.(?:cuda|cpu)(?=\.amp\b)", "torch", old)
        if new == old:
            self.whole = False
        self.imported.add(name)
        self.edits.append(Edit(start, end, new))

    def _constructor(self, call: ast.Call, name: str) -> None:
        device = self._device(name)
        signature = (scalers(frozenset([name])) or autocasts(frozenset([name])))[0]
        bound = bind(call, signature)
        if len(bound.positional) != len(call.args):
            self.whole = False  # a star, or more arguments than there are parameters
            return
        self.edits.append(put_first(self._read.text, call, device))
        self.edits += [by_keyword(self._read.text, value, parameter) for parameter, value in bound.positional]

    def _custom(self, node: ast.expr, call: ast.Call | None, name: str) -> None:
        given = f"device_type={self._device(name)}"
        text = self._read.text
        if call is None:
            if not self._decorates(node):
                self.whole = False
            end = text.span(node)[1]
            self.edits.append(Edit(end, end, f"({given})"))
        elif call.args:
            self.edits.append(put_last(text, call, given))
        else:
            self.edits.append(put_first(text, call, given))

    def _getter(self, node: ast.expr, call: ast.Call | None, name: str) -> None:
        if call is None or isinstance(node, ast.Name):
            self.whole = False
            return
        found = _GETTER.search(name)
        device = "cuda" if found is None or found[1] == "gpu" else found[1]
        self.edits.append(put_first(self._read.text, call, f'"{device}"'))

    def _device(self, name: str) -> str:
        found = _OLD.match(name)
        return f'"{found[1] if found else "cuda"}"'

    def _decorates(self, node: ast.expr) -> bool:
        return node in getattr(self._read.parents.get(node), "decorator_list", [])

    def _is_about_type(self, node: ast.expr, name: str) -> bool:
        """Say whether the class is only named: in an annotation, or as what `isinstance` asks for."""
        if not name.endswith("GradScaler"):
            return False
        inner: ast.AST = node
        for outer in self._read.around(node):
            match outer:
                case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                    return annotation is inner
                case ast.FunctionDef(returns=returns) | ast.AsyncFunctionDef(returns=returns):
                    return returns is inner
                case ast.Call(func=ast.Name(id="isinstance")):
                    return True
                case ast.stmt():
                    return False
            inner = outer
        return False
