"""Import records: kind, guard, scope and place of every statement."""

from __future__ import annotations

import ast
import textwrap

import pytest

from stages.syntax.imports.conditions import Conditions
from stages.syntax.imports.statements import ImportRecord, import_records

CONDITIONS = Conditions(version=(3, 11, 0), platform="linux", os_name="posix")


def records(text: str) -> tuple[ImportRecord, ...]:
    return import_records(ast.parse(textwrap.dedent(text)), CONDITIONS)


def kinds(text: str) -> list[str]:
    return [record.kind for record in records(text)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import a", "eager"),
        ("class C:\n    import a", "eager"),
        ("with open('x'):\n    import a", "eager"),
        ("def f():\n    import a", "lazy"),
        ("async def f():\n    import a", "lazy"),
        ("class C:\n    def f(self):\n        import a", "lazy"),
        ("try:\n    import a\nexcept ImportError:\n    pass", "guarded"),
        ("try:\n    import a\nexcept (ValueError, ModuleNotFoundError):\n    pass", "guarded"),
        ("try:\n    import a\nexcept Exception:\n    pass", "guarded"),
        ("try:\n    import a\nexcept:\n    pass", "guarded"),
        ("with contextlib.suppress(ImportError):\n    import a", "guarded"),
        ("try:\n    import a\nexcept ValueError:\n    pass", "eager"),
        ("if TYPE_CHECKING:\n    import a", "type-only"),
        ("if typing.TYPE_CHECKING:\n    import a", "type-only"),
        ("if TYPE_CHECKING or SLOW:\n    import a", "type-only"),
        ("if False:\n    import a", "type-only"),
        ("if x:\n    import a", "conditional"),
        ("for x in y:\n    import a", "conditional"),
        ("match x:\n    case 1:\n        import a", "conditional"),
        ("if not TYPE_CHECKING:\n    import a", "conditional"),
    ],
)
def test_kind_of_an_import(text: str, kind: str) -> None:
    assert kinds(text) == [kind]


def test_a_guard_around_a_definition_does_not_guard_what_runs_later() -> None:
    (record,) = records("try:\n    def f():\n        import a\nexcept ImportError:\n    pass")
    assert (record.kind, record.guarded) == ("lazy", False)


def test_an_import_inside_a_guarded_function_body_is_lazy_and_guarded() -> None:
    (record,) = records("def f():\n    try:\n        import a\n    except ImportError:\n        pass")
    assert (record.kind, record.guarded) == ("lazy", True)


@pytest.mark.parametrize(
    "text",
    [
        "if is_a_available():\n    import a",
        "if importlib.util.find_spec('a'):\n    import a",
        "def f():\n    if not HAS_A_INSTALLED:\n        raise RuntimeError\n    import a",
        "pytest.importorskip('a')\nimport a",
        "try:\n    import b\nexcept ImportError:\n    b = None\nelse:\n    import a",
    ],
)
def test_an_import_behind_a_check_for_the_library_is_optional(text: str) -> None:
    assert records(text)[-1].optional


@pytest.mark.parametrize(
    ("test", "applies"),
    [
        ("sys.version_info >= (3, 8)", True),
        ("sys.version_info < (3, 8)", False),
        ("sys.version_info[0] == 2", False),
        ("sys.version_info.major < 3", False),
        ("sys.platform == 'win32'", False),
        ("sys.platform.startswith('linux')", True),
        ("os.name == 'nt'", False),
        ("__name__ == '__main__'", True),
        ("unknown()", True),
    ],
)
def test_branches_the_target_never_takes_do_not_apply(test: str, applies: bool) -> None:
    assert [record.applies for record in records(f"if {test}:\n    import a")] == [applies]


def test_the_other_branch_of_a_version_check_applies() -> None:
    found = records("if sys.version_info >= (3, 11):\n    import tomllib\nelse:\n    import tomli")
    assert [(record.module, record.applies) for record in found] == [("tomllib", True), ("tomli", False)]


def test_a_record_says_where_and_what() -> None:
    (record,) = records("class C:\n    def f(self):\n        from ..pkg import a as b, c\n")
    assert (record.line, record.column, record.level, record.module, record.scope) == (3, 9, 2, "pkg", "C.f")
    assert record.names == (("a", "b"), ("c", "c"))
    assert record.statement == "from ..pkg import a as b, c"


def test_each_module_of_an_import_list_is_one_record() -> None:
    assert [(record.module, record.alias) for record in records("import a.b, c as d")] == [("a.b", None), ("c", "d")]
