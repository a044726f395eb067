"""All dialects by name. A new one is one file, and one line here."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from jwtauth.dialects.dialect import Dialect

_FILES: Final = (
    "standard",
    "flarecast",
    "onesait",
    "skyvault",
    "aioauth",
)

DIALECTS: Final[Mapping[str, Dialect]] = {name: import_module(f"jwtauth.dialects.{name}").DIALECT for name in _FILES}

NAMES: Final = tuple(DIALECTS)
