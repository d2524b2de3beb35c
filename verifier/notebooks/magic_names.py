"""Which magics run Python in the notebook's own namespace, which run something else, and which may bind any name."""

from __future__ import annotations

# cell magics whose cell is Python that runs in the notebook's own namespace
PYTHON_CELLS = frozenset(
    [
        "autotime", "capture", "debug", "flake8", "heat", "ipytest", "local", "lprun", "memit", "mprun", "mypy",
        "prun", "pyinstrument", "run_pytest", "scalene", "skip_exception", "snakeviz", "tb", "time", "timeit",
        "wandb",
    ]
)  # fmt: skip
# cell magics whose cell is another language, or Python for another process
FOREIGN_CELLS = frozenset(
    [
        "!", "HTML", "SVG", "bash", "cmd", "css", "file", "html", "javascript", "js", "json", "latex", "markdown",
        "mermaid", "node", "perl", "powershell", "pypy", "python", "python2", "python3", "ruby", "script", "sh",
        "svg", "sx", "system", "writefile", "writetemplate", "yaml",
    ]
)  # fmt: skip
# line magics that bring names which no one sees here
BIND_ANYTHING = frozenset(
    [
        "R", "Rpull", "ed", "edit", "load", "loadpy", "macro", "pylab", "recall", "rep", "rerun", "run", "store",
    ]
)  # fmt: skip
# line magics whose `=` assigns no Python name
SETTINGS = frozenset(["alias", "cd", "conda", "config", "env", "load_ext", "mamba", "matplotlib", "pip", "set_env"])
# what a cell of one line may say without its `%`
WITHOUT_PERCENT = frozenset(
    [
        "autoreload", "cat", "cd", "conda", "cp", "env", "hist", "history", "less", "ll", "load_ext", "ls",
        "lsmagic", "mamba", "man", "matplotlib", "mkdir", "more", "mv", "pdoc", "pfile", "pinfo", "pip", "prun",
        "psource", "pwd", "pylab", "reload_ext", "reset", "rm", "rmdir", "run", "tensorboard", "timeit", "who",
        "who_ls", "whos",
    ]
)  # fmt: skip
