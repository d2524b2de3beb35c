"""Decides which distributions a project declares, and which of them would bring an imported module."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stages._source.declarations import Declarations, declarations_in
from stages._source.patterns import late
from stages._source.requirements import Requirement, normalise, parse_all

_INLINE = late(r"(?m)^# /// script\s*$\n((?:^#(?:| .*)$\n)+?)^# ///\s*$")

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
    "monai": ("monai", "monai-weekly"),
    "rdkit": ("rdkit", "rdkit-pypi"),
    "ants": ("antspyx",),
    "vtkmodules": ("vtk",),
    "parselmouth": ("praat-parselmouth",),
    "weaviate": ("weaviate-client",),
    "pinecone": ("pinecone", "pinecone-client"),
    "iterstrat": ("iterative-stratification",),
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
        return bool(bringing(module, self.names))


def bringing(module: str, names: Iterable[str]) -> frozenset[str]:
    """Return which of the distributions, by normalised name, would plausibly bring a module."""
    found = _bringers(module).intersection(names)
    if module.partition(".")[0] not in _SHARED_PREFIXES:
        return found
    prefix = f"{normalise(module.partition('.')[0])}-"
    return found | {name for name in names if name.startswith(prefix)}


@lru_cache(maxsize=4096)
def _bringers(module: str) -> frozenset[str]:
    """Return the names of distributions that would plausibly bring a module."""
    parts = module.split(".")
    top = parts[0]
    plain = normalise(top)
    wanted = {normalise(name) for name in _BROUGHT_BY.get(top, ())}
    wanted.add(normalise(top.strip("_")))
    wanted |= {normalise("-".join(parts[:count])) for count in range(1, len(parts) + 1)}
    wanted |= {f"python-{plain}", f"py{plain}", f"{plain}-python", f"py-{plain}", f"{plain}-py", f"pytorch-{plain}"}
    return frozenset(wanted)


def modules_of(distribution: str) -> frozenset[str]:
    """Return the top-level modules that a well-known distribution brings under another name."""
    return frozenset(module for module, names in _BROUGHT_BY.items() if distribution in map(normalise, names))


def is_shared(module: str) -> bool:
    """Say whether a module's top-level name is shared by many distributions."""
    return module.partition(".")[0] in _SHARED_PREFIXES


def is_known_distribution(module: str) -> bool:
    """Say whether a top-level module is one of the well-known ones whose distribution has another name."""
    return module in _BROUGHT_BY


class Dependencies:
    """What is declared for each folder: its own metadata and requirement files and those of the folders above."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: dict[str, Declarations] = {}
        self._folders: dict[str, Declared] = {}

    def declared_for(self, path: str, text: str = "") -> Declared:
        """Return what is declared for a file; `text` is looked at for inline script metadata."""
        folder = path.rpartition("/")[0]
        return self._of_folder(folder) | Declared(frozenset(item.name for item in _inline(text)))

    def stated_in(self, folder: str) -> Declarations:
        """Return what the files of one folder, relative to the root, state themselves."""
        if folder not in self._own:
            self._own[folder] = declarations_in(self._root / folder)
        return self._own[folder]

    def stated_for(self, path: str) -> list[tuple[str, Declarations]]:
        """Return every folder above a file with what it states, nearest first."""
        folder = path.rpartition("/")[0]
        found = [(folder, self.stated_in(folder))]
        while folder:
            folder = folder.rpartition("/")[0]
            found.append((folder, self.stated_in(folder)))
        return found

    def _of_folder(self, folder: str) -> Declared:
        if folder not in self._folders:
            stated = self.stated_in(folder)
            own = Declared(frozenset(item.name for item in stated.requirements), stated.complete)
            self._folders[folder] = own | self._of_folder(folder.rpartition("/")[0]) if folder else own
        return self._folders[folder]


def _inline(text: str) -> list[Requirement]:
    match = _INLINE.search(text) if "# /// script" in text else None
    if match is None:
        return []
    content = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in match[1].splitlines())
    try:
        items = tomllib.loads(content).get("dependencies", [])
    except tomllib.TOMLDecodeError:
        return []
    return list(parse_all(items, "runtime"))
