"""Deprecated names, however a file has them: aliases, modules under other names, decorators, annotations."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.stages.fixing import fixed, texts, write

CASES = {
    "an alias": (
        """
        import torch as th
        from torch.cuda.amp import GradScaler as Scaler, autocast as half
        s = Scaler(enabled=True)
        def f(m, x, on, **more):
            with half(on, th.float16), th.cuda.amp.autocast(dtype=th.bfloat16):
                return m(x), Scaler(2.0 ** 10, **more)
        """,
        """
        import torch as th
        from torch.amp import GradScaler as Scaler, autocast as half
        s = Scaler("cuda", enabled=True)
        def f(m, x, on, **more):
            with half("cuda", enabled=on, dtype=th.float16), th.amp.autocast("cuda", dtype=th.bfloat16):
                return m(x), Scaler("cuda", init_scale=2.0 ** 10, **more)
        """,
    ),
    "the module under a name": (
        """
        from torch.cuda import amp
        def f(m, x):
            with amp.autocast():  # half
                return m(x)
        s = amp.GradScaler()
        """,
        """
        from torch import amp
        def f(m, x):
            with amp.autocast("cuda"):  # half
                return m(x)
        s = amp.GradScaler("cuda")
        """,
    ),
    "the module by import": (
        """
        import torch.cuda.amp as amp
        s = amp.GradScaler()
        """,
        """
        import torch.amp as amp
        s = amp.GradScaler("cuda")
        """,
    ),
    "the CPU": (
        """
        import torch
        def f(m, x, on):
            with torch.cpu.amp.autocast(on):
                return m(x)
        """,
        """
        import torch
        def f(m, x, on):
            with torch.amp.autocast("cpu", enabled=on):
                return m(x)
        """,
    ),
    "questions": (
        """
        import torch
        a = torch.get_autocast_gpu_dtype()
        torch.set_autocast_cpu_enabled(True)
        """,
        """
        import torch
        a = torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cpu", True)
        """,
    ),
    "annotations and isinstance": (
        """
        from torch.cuda.amp import GradScaler
        def f(s: GradScaler, t) -> GradScaler:
            return s if isinstance(t, GradScaler) else GradScaler()
        """,
        """
        from torch.amp import GradScaler
        def f(s: GradScaler, t) -> GradScaler:
            return s if isinstance(t, GradScaler) else GradScaler("cuda")
        """,
    ),
}
LEFT = {
    "a star": "import torch\ns = torch.cuda.amp.GradScaler(*args)\n",
    "a subclass": "from torch.cuda.amp import GradScaler\nclass S(GradScaler):\n    pass\n",
    "a value": "from functools import partial\nfrom torch.cuda.amp import autocast\nc = partial(autocast, True)\n",
    "other names too": "from torch.cuda.amp import autocast, common\nc = autocast(), common\n",
    "the module for more": "from torch.cuda import amp\nc = amp.autocast(), amp.common\n",
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_name_is_written_anew(before: str, after: str, tmp_path: Path) -> None:
    tree = write(tmp_path, {"a.py": textwrap.dedent(before)})
    done = fixed(tmp_path, tree, only="AMP701", unsafe=False)
    assert texts(done.sources)["a.py"] == textwrap.dedent(after)


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_a_file_that_cannot_be_turned_whole_is_left(text: str, tmp_path: Path) -> None:
    assert not fixed(tmp_path, write(tmp_path, {"a.py": text}), only="AMP701").applied


def test_a_name_that_another_file_takes_is_left(tmp_path: Path) -> None:
    files = {
        "compat.py": "from torch.cuda.amp import autocast\n\nc = autocast()\n",
        "train.py": "from compat import autocast\n\n\ndef f(m, x):\n    with autocast(True):\n        return m(x)\n",
    }
    done = fixed(tmp_path, write(tmp_path, files), only="AMP701")
    assert texts(done.sources)["compat.py"] == files["compat.py"]


@pytest.mark.parametrize(
    ("declared", "safety"), [("torch>=2.4", "safe"), ("torch", "safe"), ("torch>=1.13", None), ("torch>=2.3", "safe")]
)
def test_the_torch_that_a_project_declares_decides(declared: str, safety: str | None, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(declared + "\n")
    text = "import torch\nscaler = torch.cuda.amp.GradScaler()\n"
    done = fixed(tmp_path, write(tmp_path, {"a.py": text}), only="AMP701", unsafe=False)
    assert [item.safety for item in done.applied] == ([safety] if safety else [])
    assert not done.unsafe
