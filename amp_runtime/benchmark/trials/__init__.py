"""How often a comparison errs on a machine that others use: identical programs, and one that is truly slower."""
