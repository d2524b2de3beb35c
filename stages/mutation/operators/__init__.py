"""The operators, in families: each module has `OPERATORS`, the rows of the catalogue that it knows how to make."""
