"""`python -m verifier` is the `verify` command, run from anywhere."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `-m` puts the current folder first: a project with folders called `stages` or `reports` would replace ours.
        del sys.path[0]
    from verifier.cli import entry

    entry()
