"""All targets by name."""

from collections.abc import Mapping
from typing import Final

from tests.soak.fuzz.files import FILES
from tests.soak.fuzz.requests import REQUESTS
from tests.soak.fuzz.target import Target
from tests.soak.fuzz.texts import TEXTS
from tests.soak.fuzz.tokens import TOKENS

TARGETS: Final[Mapping[str, Target]] = {**REQUESTS, **TOKENS, **TEXTS, **FILES}
