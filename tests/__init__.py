"""The checker of shapes and types in signatures: an int is a float, as for every other tool."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
