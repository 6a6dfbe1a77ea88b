"""A small package with one module: what mutants are tried out on."""
