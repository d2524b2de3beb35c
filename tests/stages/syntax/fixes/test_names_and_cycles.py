"""Imports move up where that loads nothing new, else into the functions; so do those that close a cycle."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.stages.fixing import codes, fixed, texts, write


def mend(root: Path, text: str, rule: str, *, unsafe: bool = False, **more: str) -> str:
    files = {"a.py": textwrap.dedent(text).lstrip("\n")} | {f"{name}.py": body for name, body in more.items()}
    done = fixed(root, write(root, files), only=rule, unsafe=unsafe, lint=True)
    return texts(done.sources)["a.py"]


def test_an_import_of_a_loaded_package_moves_up(tmp_path: Path) -> None:
    assert mend(
        tmp_path,
        '''
        """Doc."""
        import os
        import torch  # the library
        import sys


        def step(x):
            with autocast("cuda"):
                return x

        def main(x):
            """Doc."""
            from torch.amp import autocast
            with autocast("cuda"):
                return step(x)
        ''',
        "SCP002",
    ) == textwrap.dedent('''\
        """Doc."""
        import os
        import torch  # the library
        from torch.amp import autocast
        import sys


        def step(x):
            with autocast("cuda"):
                return x

        def main(x):
            """Doc."""
            with autocast("cuda"):
                return step(x)
        ''')


def test_an_import_that_may_be_heavy_or_missing_is_repeated_in_the_functions(tmp_path: Path) -> None:
    assert mend(
        tmp_path,
        '''
        import os

        def first(x):
            """Doc of
            several lines."""
            return np.array(x)

        class Box:
            def second(self, x):
                # a comment
                return np.zeros(x)

        def main(x):
            import numpy as np
            return first(np.ones(x))
        ''',
        "SCP002",
    ) == textwrap.dedent('''\
        import os

        def first(x):
            """Doc of
            several lines."""
            import numpy as np

            return np.array(x)

        class Box:
            def second(self, x):
                # a comment
                import numpy as np

                return np.zeros(x)

        def main(x):
            import numpy as np
            return first(np.ones(x))
        ''')


@pytest.mark.parametrize(
    "text",
    [
        """
        def one(x):
            return thing(x)

        def two(x):
            from json import loads as thing
            return thing(x)

        def three(x):
            from pickle import loads as thing
            return thing(x)
        """,  # it is two things
        """
        def one(x): return dumps(x)

        def two(x):
            from json import dumps
            return dumps(x)
        """,  # no line to put it on
        """
        def one(x, encode=dumps):
            return encode(x)

        def two(x):
            from json import dumps
            return dumps(x)
        """,  # a default is evaluated while the file loads
        """
        def one(x):
            return value

        def two(x):
            value = x
            return value
        """,  # not an import
    ],
)
def test_what_cannot_be_told_is_left(text: str, tmp_path: Path) -> None:
    assert mend(tmp_path, text, "SCP002", unsafe=True) == textwrap.dedent(text).lstrip("\n")


def test_an_import_that_is_guarded_is_not_made_one_of_the_module(tmp_path: Path) -> None:
    text = """\
        import torch

        def step(x):
            return autocast("cuda")

        def main(x):
            try:
                from torch.amp import autocast
            except ImportError:
                raise
            return autocast("cuda")
        """
    added = '            from torch.amp import autocast\n\n            return autocast("cuda")\n\n        def main'
    expected = text.replace('            return autocast("cuda")\n\n        def main', added)
    assert mend(tmp_path, text, "SCP002") == textwrap.dedent(expected)


CYCLE = {
    "pkg/__init__.py": "",
    "pkg/a.py": textwrap.dedent('''\
        """Doc."""
        from __future__ import annotations

        from pkg.b import (
            measure,  # how long
            other,
        )

        import os


        class Trainer:
            def run(self):
                """Train."""
                return measure(self)

            def log(self):
                return os.name


        def train():
            return other()
        '''),
    "pkg/b.py": "from pkg.a import train\n\ndef measure(x):\n    return train\n\ndef other():\n    return 1\n",
}


def test_a_cycle_is_broken_where_its_simulation_said(tmp_path: Path) -> None:
    done = fixed(tmp_path, write(tmp_path, CYCLE), only="IMP003", unsafe=False, lint=True)
    assert "IMP003" not in codes(done.report)
    assert codes(done.report).count("IMP005") == 1
    for file in done.sources:
        (tmp_path / file.path).write_bytes(file.data or b"")
    for name in ("pkg.a", "pkg.b"):
        subprocess.run([sys.executable, "-c", f"import {name}"], cwd=tmp_path, check=True)
    run = "import pkg.a as a; assert a.Trainer().run() is a.train; assert a.train() == 1"
    subprocess.run([sys.executable, "-c", run], cwd=tmp_path, check=True)


ANNOTATED = {
    "pkg/__init__.py": "",
    "pkg/config.py": "from pkg.writer import write\n\nclass Config:\n    save = write\n",
    "pkg/writer.py": (
        "from __future__ import annotations\n\nimport os\nfrom pkg.config import Config\n\n\n"
        "def write(config: Config) -> str:\n    return os.fspath(config)\n"
    ),
    "pkg/again.py": "from pkg.config import Config\n",
}


@pytest.mark.parametrize("known", [False, True], ids=["a new block", "the block that is there"])
def test_what_only_annotations_speak_of_moves_below_type_checking(known: bool, tmp_path: Path) -> None:
    block = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pathlib import Path  # here\n"
    text = ANNOTATED["pkg/writer.py"].replace("import os\n", f"import os\n{block if known else ''}")
    if known:
        text = (
            text.replace("-> str", "-> Path")
            .replace("from pkg.config import Config\n", "")
            .replace("import os\n", "import os\nfrom pkg.config import Config\n")
        )
    done = fixed(tmp_path, write(tmp_path, ANNOTATED | {"pkg/writer.py": text}), only="IMP003", lint=True)
    assert "IMP003" not in codes(done.report)
    new = texts(done.sources)["pkg/writer.py"]
    assert "    from pkg.config import Config\n" in new
    assert new.count("if TYPE_CHECKING:") == 1
    assert not fixed(tmp_path, write(tmp_path, ANNOTATED), only="IMP003", unsafe=False, lint=True).applied


UNUSED = '''\
"""Doc."""
from __future__ import annotations

import json, os
import numpy as np  # for arrays
from typing import (
    Any,
    List,
    Optional as Maybe,
)
import registry  # registers its models
try:
    import wandb
except ImportError:
    wandb = None
from keep import *
import sys  # noqa: F401

__all__ = ["List"]


def f(x: Maybe) -> Any:
    import time
    return os.fspath(x)


def g():
    import time
'''


def test_unused_imports_go_by_ruffs_own_edits(tmp_path: Path) -> None:
    tree = write(tmp_path, {"a.py": UNUSED, "keep.py": "X = 1\n"})
    assert not fixed(tmp_path, tree, only="LNT001", unsafe=False, lint=True).applied  # comments would go
    done = fixed(tmp_path, tree, only="LNT001", lint=True)
    expected = UNUSED.replace("import json, os\n", "import os\n").replace("import numpy as np  # for arrays\n", "")
    expected = expected.replace("def f(x: Maybe) -> Any:\n    import time\n", "def f(x: Maybe) -> Any:\n")
    expected = expected.replace("def g():\n    import time\n", "def g():\n    pass\n")
    expected = expected.replace("import registry  # registers its models\n", "")
    assert texts(done.sources)["a.py"] == expected
    without = {"a.py": "import json, os\nfrom typing import Any, List\n\nprint(os, List)\n"}
    done = fixed(tmp_path, write(tmp_path, without), only="LNT001", unsafe=False, lint=True)
    assert texts(done.sources)["a.py"] == "import os\nfrom typing import List\n\nprint(os, List)\n"


def test_an_unused_import_of_project_code_waits_for_unsafe(tmp_path: Path) -> None:
    files = {"a.py": "import registry\n\n\ndef f():\n    return 1\n", "registry.py": "MODELS = {}\n"}
    done = fixed(tmp_path, write(tmp_path, files), only="LNT001", unsafe=False, lint=True)
    assert not done.applied
    assert [item.finding.rule for item in done.unsafe] == ["LNT001"]
    done = fixed(tmp_path, write(tmp_path, files), only="LNT001", unsafe=True, lint=True)
    assert texts(done.sources)["a.py"] == "\n\ndef f():\n    return 1\n"
