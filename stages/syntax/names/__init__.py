"""Names and scopes of one file, judged as CPython resolves them."""
