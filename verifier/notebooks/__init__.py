"""Jupyter notebooks: their cells, the Python in them, and the lines of the file on which it stands."""
