"""What a notebook installs itself is known; other text about installing is not taken for it."""

from __future__ import annotations

import pytest

from stages._source.cell_installs import installed_by


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["!pip install pypdf"], {"pypdf"}),
        (["%pip install -qU Sentence_Transformers==2.1 'torch>=2'"], {"sentence-transformers", "torch"}),
        (
            ['!python -c "import monai" || pip install -q "monai-weekly[nibabel, tqdm]"'],
            {"monai-weekly", "nibabel", "tqdm"},
        ),
        (["!pip -q install a"], {"a"}),
        (["!pip install -r requirements.txt --extra-index-url https://x.org/simple anyio"], {"anyio"}),
        (["!pip install git+https://example.org/me/tool.git@v1"], {"tool"}),
        (["!pip install git+https://example.org/me/tool#egg=real-name"], {"real-name"}),
        (["!pip install a \\", "    b \\", "    c"], {"a", "b", "c"}),
        (["!pip install a && pip3 install b; conda install -c forge c"], {"a", "b", "c"}),
        (["!pip install 'unclosed"], {"unclosed"}),
        (["%%capture", "%pip install a  # and not b"], {"a"}),
        (["print('install it')", "import pypdf", "!pip list"], set()),
        ([], set()),
    ],
)
def test_what_the_lines_of_a_notebook_install(lines: list[str], expected: set[str]) -> None:
    assert installed_by(lines) == expected
