"""Everything that a command of `jwtauth` imports, imported once by the process that all others are forked from."""

import gc
import importlib

import anyio
from litestar import Litestar
from uvicorn.lifespan import on
from uvicorn.loops import uvloop

from jwtauth.cli.commands import COMMANDS
from tests.support import forking

__all__ = ("forking", "on", "uvloop")

for _command in COMMANDS.values():
    importlib.import_module(_command.target.partition(":")[0])
Litestar()  # looks for plugins
anyio.run(anyio.sleep, 0)  # looks for an event loop
gc.freeze()  # no forked process has to look at all of it, and so copy it
