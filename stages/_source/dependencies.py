"""Decides which distributions a project declares, and which of them would bring an imported module."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages._source.parsing import parse_text
from verifier.api import read_regular

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w, .-]*\])?\s*((===|==|~=|!=|<=|>=|<|>|@)\s*\S.*)?(;.*)?\Z")
_REPOSITORY = re.compile(r"(?:git\+|https?://|ssh://|file:)\S*")
_INLINE = re.compile(r"(?m)^# /// script\s*$\n((?:^#(?:| .*)$\n)+?)^# ///\s*$")
_SIZE_LIMIT = 400_000

# import name -> distributions, where they differ by more than case and punctuation
_BROUGHT_BY: Mapping[str, tuple[str, ...]] = {
    "PIL": ("pillow", "pillow-simd"),
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "sklearn": ("scikit-learn", "scikit-learn-intelex"),
    "skimage": ("scikit-image",),
    "yaml": ("pyyaml", "ruamel-yaml"),
    "bs4": ("beautifulsoup4",),
    "dateutil": ("python-dateutil",),
    "dotenv": ("python-dotenv",),
    "git": ("gitpython",),
    "github": ("pygithub",),
    "attr": ("attrs",),
    "OpenSSL": ("pyopenssl",),
    "Crypto": ("pycryptodome", "pycrypto"),
    "serial": ("pyserial",),
    "usb": ("pyusb",),
    "zmq": ("pyzmq",),
    "jwt": ("pyjwt",),
    "magic": ("python-magic",),
    "docx": ("python-docx",),
    "pptx": ("python-pptx",),
    "slugify": ("python-slugify",),
    "Levenshtein": ("levenshtein", "python-levenshtein"),
    "pkg_resources": ("setuptools",),
    "setuptools": ("setuptools",),
    "distutils": ("setuptools",),
    "lightning": ("lightning", "pytorch-lightning"),
    "pytorch_lightning": ("pytorch-lightning", "lightning"),
    "lightning_fabric": ("lightning-fabric", "lightning", "pytorch-lightning"),
    "apex": ("apex", "nvidia-apex"),
    "pynvml": ("nvidia-ml-py", "pynvml", "nvidia-ml-py3"),
    "tensorboard": ("tensorboard", "tb-nightly"),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly"),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "torch": ("torch", "pytorch"),
    "torchvision": ("torchvision",),
    "open_clip": ("open-clip-torch",),
    "clip": ("clip", "openai-clip", "clip-anytorch"),
    "snap": ("snap-stanford",),
    "pyopenjtalk": ("pyopenjtalk", "pyopenjtalk-prebuilt"),
    "googleapiclient": ("google-api-python-client",),
    "flash_attn": ("flash-attn",),
    "umap": ("umap-learn",),
    "hydra": ("hydra-core",),
    "rest_framework": ("djangorestframework",),
    "google": ("protobuf",),
    "mpl_toolkits": ("matplotlib",),
    "pylab": ("matplotlib",),
    "win32api": ("pywin32",),
    "win32con": ("pywin32",),
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "MySQLdb": ("mysqlclient",),
    "ldm": ("latent-diffusion",),
    "fire": ("fire", "python-fire"),
    "ffmpeg": ("ffmpeg-python",),
    "wx": ("wxpython",),
    "gi": ("pygobject",),
    "cairo": ("pycairo",),
    "fitz": ("pymupdf",),
    "imblearn": ("imbalanced-learn",),
    "nacl": ("pynacl",),
    "jose": ("python-jose",),
    "kafka": ("kafka-python",),
    "memcache": ("python-memcached",),
    "telegram": ("python-telegram-bot",),
    "discord": ("discord-py",),
    "absl": ("absl-py",),
    "pl_bolts": ("lightning-bolts",),
    "segmentation_models_pytorch": ("segmentation-models-pytorch",),
    "MinkowskiEngine": ("minkowskiengine",),
    "_pytest": ("pytest",),
    "nvidia": ("nvidia-dali-cuda110", "nvidia-dali-cuda120"),
}
_SHARED_PREFIXES = frozenset({"google", "azure", "zope", "sphinxcontrib", "nvidia", "ruamel", "jaraco", "backports"})


@dataclass(frozen=True, slots=True)
class Declared:
    """Distributions by normalised name. `complete` is False where some are computed and cannot be read."""

    names: frozenset[str] = frozenset()
    complete: bool = True

    def __or__(self, other: Declared) -> Declared:
        return Declared(self.names | other.names, self.complete and other.complete)

    def brings(self, module: str) -> bool:
        """Say whether a declared distribution would plausibly bring the module."""
        parts = module.split(".")
        top = parts[0]
        plain = normalise(top)
        wanted = {normalise(name) for name in _BROUGHT_BY.get(top, ())}
        wanted.add(normalise(top.strip("_")))
        wanted |= {normalise("-".join(parts[:count])) for count in range(1, len(parts) + 1)}
        wanted |= {f"python-{plain}", f"py{plain}", f"{plain}-python", f"py-{plain}", f"{plain}-py", f"pytorch-{plain}"}
        if not wanted.isdisjoint(self.names):
            return True
        return top in _SHARED_PREFIXES and any(name.startswith(f"{plain}-") for name in self.names)


def is_known_distribution(module: str) -> bool:
    """Say whether a top-level module is one of the well-known ones whose distribution has another name."""
    return module in _BROUGHT_BY


def normalise(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Dependencies:
    """What is declared for each folder: its own metadata and requirement files and those of the folders above."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, Declared] = {}

    def declared_for(self, path: str, text: str = "") -> Declared:
        """Return what is declared for a file; `text` is looked at for inline script metadata."""
        folder = path.rpartition("/")[0]
        return self._of_folder(folder) | Declared(frozenset(_inline(text)))

    def _of_folder(self, folder: str) -> Declared:
        if folder not in self._folders:
            own = _declared_in(self._root / folder)
            self._folders[folder] = own | self._of_folder(folder.rpartition("/")[0]) if folder else own
        return self._folders[folder]


def _declared_in(folder: Path) -> Declared:
    names: set[str] = set()
    try:
        files = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return Declared()
    complete = True
    for name in files:
        if name == "setup.py":
            found, complete = _from_setup(_text(folder / name))
            names |= found
        elif reader := _reader(name):
            names |= {normalise(item) for item in reader(folder / name)}
    if (folder / "requirements").is_dir():
        for file in sorted((folder / "requirements").glob("*.txt")):
            names |= {normalise(item) for item in _from_requirements(file)}
    return Declared(frozenset(names), complete)


def _reader(name: str) -> Any:
    if name in {"pyproject.toml", "Pipfile"}:
        return _from_toml
    if name == "setup.cfg":
        return _from_setup_cfg
    if name.endswith((".txt", ".in")) and "requirement" in name.lower():
        return _from_requirements
    if name.endswith((".yml", ".yaml")) and ("env" in name.lower() or "conda" in name.lower()):
        return _from_conda
    return None


def _text(path: Path) -> str:
    try:
        return read_regular(path, _SIZE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""


def _name(requirement: str) -> Iterator[str]:
    if match := _NAME.match(requirement):
        yield match[1]


def _from_toml(path: Path) -> Iterator[str]:
    try:
        data = tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    project = _table(data, "project")
    tool = _table(data, "tool")
    poetry = _table(tool, "poetry")
    lists = [project.get("dependencies"), _table(data, "build-system").get("requires")]
    lists += _table(project, "optional-dependencies").values()
    lists += _table(data, "dependency-groups").values()
    lists += _table(_table(tool, "pdm"), "dev-dependencies").values()
    lists += [_table(tool, "uv").get("dev-dependencies")]
    for environment in _table(_table(tool, "hatch"), "envs").values():
        if isinstance(environment, dict):
            lists += [environment.get("dependencies"), environment.get("extra-dependencies")]
    for items in lists:
        for item in items if isinstance(items, list) else ():
            if isinstance(item, str):
                yield from _name(item)
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values() if isinstance(group, dict)]
    tables += [_table(data, "packages"), _table(data, "dev-packages")]  # Pipfile
    for table in tables:
        yield from (name for name in table if name.lower() != "python")


def _table(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _from_setup_cfg(path: Path) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(path))
    except configparser.Error:
        return
    blocks = [
        parser.get("options", key, fallback="") for key in ("install_requires", "setup_requires", "tests_require")
    ]
    if parser.has_section("options.extras_require"):
        blocks += [value or "" for _, value in parser.items("options.extras_require")]
    for block in blocks:
        for line in re.split(r"[\n;]", block):
            yield from _name(line)


def _from_requirements(path: Path) -> Iterator[str]:
    for line in _text(path).splitlines():
        item = line.split(" #")[0].strip()
        if match := _REPOSITORY.search(item):
            yield from _of_repository(match[0])
        if item and not item.startswith(("#", "-", "git+", "http", ".", "/")):
            yield from _name(item)


def _of_repository(address: str) -> Iterator[str]:
    if "egg=" in address:
        yield from _name(address.rpartition("egg=")[2])
    yield from _name(address.partition("#")[0].rstrip("/").rpartition("/")[2].partition("@")[0].removesuffix(".git"))


def _from_conda(path: Path) -> Iterator[str]:
    for line in _text(path).splitlines():
        item = line.strip()
        if item.startswith("- "):
            entry = item[2:].strip().strip("\"'").rpartition("::")[2]
            if match := _REPOSITORY.search(entry):
                yield from _of_repository(match[0])
            yield from _name(entry)


def _from_setup(text: str) -> tuple[set[str], bool]:
    """Read `setup.py` without running it: every string in it that reads like a requirement counts."""
    tree = parse_text(text)
    if tree is None:
        return set(), False
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            names |= {normalise(name) for item in node.elts for name in _requirement(item)}
        elif isinstance(node, ast.Constant) and re.search(r"[<>=~]=|\s@\s", str(node.value)):
            names |= {normalise(name) for name in _requirement(node)}
    wanted = ("install_requires", "extras_require", "tests_require")
    given = [
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in wanted
    ]
    return names, all(_is_literal(value) for value in given)


def _requirement(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REQUIREMENT.match(node.value.strip()):
        yield from _name(node.value)


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return False
    return True


def _inline(text: str) -> set[str]:
    match = _INLINE.search(text) if "# /// script" in text else None
    if match is None:
        return set()
    content = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in match[1].splitlines())
    try:
        items = tomllib.loads(content).get("dependencies", [])
    except tomllib.TOMLDecodeError:
        return set()
    return {normalise(name) for item in items if isinstance(item, str) for name in _name(item)}
