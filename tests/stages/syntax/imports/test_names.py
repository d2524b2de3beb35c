"""Each file has one name: the longest by which it is really imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.syntax.imports.projects import imports_of


@pytest.mark.parametrize(
    ("files", "path", "name"),
    [
        ({"pkg/__init__.py": "", "pkg/a.py": ""}, "pkg/a.py", "pkg.a"),
        ({"pkg/__init__.py": ""}, "pkg/__init__.py", "pkg"),
        ({"src/pkg/__init__.py": "", "src/pkg/a.py": ""}, "src/pkg/a.py", "pkg.a"),
        ({"utils/sub/a.py": "", "main.py": "import utils.sub.a\n"}, "utils/sub/a.py", "utils.sub.a"),
        ({"utils/a.py": "import b\n", "utils/b.py": "", "main.py": "import utils.b\n"}, "utils/b.py", "utils.b"),
        ({"lib/x/a.py": "import b\n", "lib/x/b.py": ""}, "lib/x/b.py", "b"),
        ({"scripts/train.py": ""}, "scripts/train.py", "scripts.train"),
        ({"train-model.py": ""}, "train-model.py", "train-model.py"),
        ({"one/run.py": "import t", "one/t.py": "", "two/run.py": "import t", "two/t.py": ""}, "two/t.py", "two.t"),
    ],
)  # fmt: skip
def test_name_of_a_file(tmp_path: Path, files: dict[str, str], path: str, name: str) -> None:
    assert imports_of(tmp_path, files).project().names.of(path) == name


def test_names_are_unique(tmp_path: Path) -> None:
    files = {f"{folder}/{name}.py": "import tool\n" for folder in ("one", "two", "three") for name in ("run", "tool")}
    names = imports_of(tmp_path, files).project().names
    assert len({names.of(path) for path in files}) == len(files)
