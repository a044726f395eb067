"""The listing is the architecture: imports point downwards only, and each library has one door (docs: design)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import jwtauth

ROOT: Final = Path(jwtauth.__file__).parent
MODULES: Final = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_text(encoding="utf-8")
    )
    for path in sorted(ROOT.rglob("*.py"))
}

BASE: Final = ("bounded", "errors", "protocol")
BESIDE: Final = ("store", "keyring", "passwords", "outside", "observe", "settings")
BELOW_WEB: Final = ("endpoints", "dialects", "issuer", *BESIDE, *BASE)

TABLE: Final[dict[str, tuple[str, ...]]] = {
    "bounded": (),
    "errors": (),
    "protocol": ("errors",),
    "settings": ("errors",),
    "observe": BASE,
    "passwords": BASE,
    "legacy_hashes": BASE,
    "keyring": BASE,
    "store": BASE,
    "outside": ("settings", *BASE),
    "issuer": (*BESIDE, *BASE),
    "endpoints": ("issuer", *BESIDE, *BASE),
    "dialects": ("endpoints", "issuer", *BESIDE, *BASE),
    "web": BELOW_WEB,
    "cli": BELOW_WEB,
    "verifier": ("keyring.jws", *BASE),
}
"""What each unit may import besides itself. A unit is a package or module directly under `jwtauth`."""

EXCEPTIONS: Final = {
    ("cli.serve", "web"): "starts the server",
    ("cli.dev", "web"): "starts the server",
    ("__main__", "cli"): "is the command",
}

ADAPTERS: Final = ("store.sqlite",)
"""Adapters are named where an issuer is put together and by the command line, nowhere else."""

DOORS: Final = {
    "jwt": ("keyring.jws",),
    "litestar": ("web.site", "web.pages", "web.visits", "web.openapi"),
    "jinja2": ("web.render",),
    "babel": ("web.render",),
    "uvicorn": ("web.server", "web.http"),
    "httptools": ("web.http",),
    "httpx": ("verifier", "outside.client", "outside.probe"),
    "argon2": ("passwords",),
    "bcrypt": ("legacy_hashes",),
    "sqlite3": ("store.sqlite",),
    "sqlite_utils": ("store.sqlite",),
    "click": ("cli",),
    "cryptography": ("keyring",),
    "prometheus_client": ("web.exposition",),
    "opentelemetry": ("web.tracing",),
}

# fmt: off
SURROUNDINGS: Final = (
    "asyncio", "concurrent", "datetime", "http", "importlib", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib.request", "uuid", "cryptography", "httpx", "jwt", "litestar",
)
# fmt: on
"""What does input or output, reads a clock, or is random: not for protocol/, where facts come in as arguments."""


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that may be imported, with its line; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module, node.lineno
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in names)
            case ast.ImportFrom():
                yield "a relative import", node.lineno


def inner(module: str) -> str:
    """`jwtauth.store.ports` as `store.ports`."""
    return module.removeprefix("jwtauth").removeprefix(".")


def is_within(module: str, unit: str) -> bool:
    return module == unit or module.startswith(f"{unit}.")


def may_import(importer: str, imported: str) -> bool:
    """Whether the table lets one module of ours import another; both without `jwtauth.`."""
    unit = importer.partition(".")[0]
    if not imported or is_within(imported, unit) or (importer, imported.partition(".")[0]) in EXCEPTIONS:
        return True
    return any(is_within(imported, allowed) for allowed in TABLE.get(unit, ()))


def own_imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Imports of modules of ours: `from jwtauth.store import ports` is store.ports, not the package alone."""
    found = list(imports(tree))
    for name, line in found:
        if not is_within(name, "jwtauth"):
            continue
        is_name_in_module = name not in MODULES
        is_package_of_another = any(
            other.startswith(f"{name}.") and other in MODULES for other, at in found if at == line
        )
        if not is_name_in_module and not is_package_of_another:
            yield inner(name), line


class TestImports:
    @pytest.mark.parametrize("module", MODULES)
    def test_point_downwards_only(self, module: str) -> None:
        upwards = [
            f"line {line}: {name}" for name, line in own_imports(MODULES[module]) if not may_import(inner(module), name)
        ]
        assert not upwards, f"{module} must not import {upwards}"

    def test_know_every_unit(self) -> None:
        units = {inner(module).partition(".")[0] for module in MODULES} - {"", "__main__"}
        assert units <= TABLE.keys()

    def test_form_no_cycle(self) -> None:
        graph = {
            inner(module): {name for name, _ in own_imports(tree) if name != inner(module)}
            for module, tree in MODULES.items()
        }
        while leaves := {module for module, below in graph.items() if not below & graph.keys()}:
            graph = {module: below for module, below in graph.items() if module not in leaves}
        assert not graph, f"modules that import each other: {sorted(graph)}"

    @pytest.mark.parametrize("module", MODULES)
    def test_stand_at_the_top_of_their_module(self, module: str) -> None:
        """No imports inside functions, none behind a condition, none for the type checker alone, none relative."""
        tree = MODULES[module]
        at_the_top = [node.lineno for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        elsewhere = {line for _, line in imports(tree)} - {*at_the_top}
        assert not elsewhere, f"{module}: imports at lines {sorted(elsewhere)}"
        assert "a relative import" not in dict(imports(tree))
        assert "TYPE_CHECKING" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

    def test_by_name_load_only_what_is_seldom_needed_or_what_data_name(self) -> None:
        by_name = {
            inner(module)
            for module, tree in MODULES.items()
            if any(is_within(name, "importlib.import_module") or name == "importlib" for name, _ in imports(tree))
        }
        assert by_name <= {
            "cli",
            "cli.commands",
            "dialects.registry",
            "endpoints.custom_grant",
            "outside.http",
            "passwords",
            "web.app",
            "web.metrics",
            "web.people",
        }

    @pytest.mark.parametrize("adapter", ADAPTERS)
    def test_name_adapters_only_where_an_issuer_is_put_together(self, adapter: str) -> None:
        importers = {
            inner(module)
            for module, tree in MODULES.items()
            if not is_within(inner(module), adapter) and any(is_within(name, adapter) for name, _ in own_imports(tree))
        }
        assert {module for module in importers if not is_within(module, "cli")} == {"issuer.assembly"}


class TestLibraries:
    @pytest.mark.parametrize(("library", "doors"), DOORS.items(), ids=DOORS)
    def test_have_one_door(self, library: str, doors: tuple[str, ...]) -> None:
        importers = {
            inner(module)
            for module, tree in MODULES.items()
            if any(is_within(name, library) for name, _ in imports(tree))
        }
        assert {module for module in importers if not any(is_within(module, door) for door in doors)} == set()

    @pytest.mark.parametrize("module", [name for name in MODULES if is_within(inner(name), "verifier")])
    def test_of_the_server_are_not_needed_to_verify(self, module: str) -> None:
        """A resource server installs just `jwtauth`: neither web framework nor database nor password hashing."""
        needed = reachable(module)
        server = {"litestar", "uvicorn", "sqlite3", "sqlite_utils", "argon2", "click", "jinja2", "babel"}
        server |= {"prometheus_client", "opentelemetry"}
        found = {name for reached in needed for name, _ in imports(MODULES[reached])}
        assert not {name for name in found if any(is_within(name, library) for library in server)}


def reachable(module: str) -> set[str]:
    """The module and all of ours that importing it loads, packages on the way included."""
    reached, waiting = set[str](), {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        parts = name.split(".")
        below = {f"jwtauth.{found}" if found else "jwtauth" for found, _ in own_imports(MODULES[name])}
        below |= {".".join(parts[:end]) for end in range(1, len(parts))}
        waiting |= below - reached
    return reached


PROTOCOL: Final = [name for name in MODULES if is_within(inner(name), "protocol")]


class TestProtocol:
    """The law: pure functions over plain records; no I/O, no clock, no randomness."""

    @pytest.mark.parametrize("module", PROTOCOL)
    def test_imports_nothing_that_acts_on_the_world(self, module: str) -> None:
        acting = {name for name, _ in imports(MODULES[module]) if any(is_within(name, lib) for lib in SURROUNDINGS)}
        assert not acting

    @pytest.mark.parametrize("module", PROTOCOL)
    def test_calls_nothing_that_acts_on_the_world(self, module: str) -> None:
        called = {node.id for node in ast.walk(MODULES[module]) if isinstance(node, ast.Name)}
        assert not called & {"open", "print", "input", "eval", "exec", "__import__", "globals"}

    @pytest.mark.parametrize("module", PROTOCOL)
    def test_never_waits(self, module: str) -> None:
        waiting = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
        assert not [node for node in ast.walk(MODULES[module]) if isinstance(node, waiting)]


class TestData:
    @pytest.mark.parametrize("module", PROTOCOL)
    def test_is_frozen(self, module: str) -> None:
        thawed = [
            node.name
            for node in ast.walk(MODULES[module])
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id == "Struct" for base in node.bases)
            and not any(keyword.arg == "frozen" for keyword in node.keywords)
        ]
        assert not thawed


class TestTheTable:
    """The checks themselves can fail."""

    @pytest.mark.parametrize(
        ("importer", "imported", "is_allowed"),
        [
            ("protocol.claims", "errors", True),
            ("protocol.claims", "store.ports", False),
            ("protocol.claims", "settings", False),
            ("errors", "protocol.records", False),
            ("keyring.secrets", "protocol.records", True),
            ("keyring.secrets", "store.ports", False),
            ("store.sqlite.grants", "keyring.jws", False),
            ("store.sqlite.grants", "issuer.issuer", False),
            ("observe.log", "settings", False),
            ("settings", "errors", True),
            ("settings", "protocol.records", False),
            ("issuer.issuer", "endpoints.token", False),
            ("issuer.issuer", "outside.http", True),
            ("endpoints.tell_logouts", "outside.backchannel_logout", True),
            ("endpoints.sign_in", "web.pages", False),
            ("outside.http", "settings", True),
            ("outside.backchannel_logout", "protocol.logout_token", True),
            ("outside.backchannel_logout", "endpoints.tell_logouts", False),
            ("outside.http", "store.ports", False),
            ("protocol.logout_token", "outside.http", False),
            ("store.sqlite.sessions", "endpoints.browser_session", False),
            ("keyring.sealer", "settings", False),
            ("web.pages", "endpoints.sign_in", True),
            ("endpoints.token", "web.api", False),
            ("endpoints.token", "dialects.onesait", False),
            ("dialects.onesait", "endpoints.token", True),
            ("web.api", "cli.serve", False),
            ("cli.serve", "web.server", True),
            ("cli.dev", "web.server", True),
            ("cli.user", "web.server", False),
            ("verifier.verifier", "keyring.jws", True),
            ("verifier.verifier", "keyring.folder", False),
            ("verifier.verifier", "keyring", False),
            ("verifier.verifier", "settings", False),
            ("newcomer.module", "errors", False),
        ],
    )
    def test_says_who_may_import_whom(self, importer: str, imported: str, is_allowed: bool) -> None:
        assert may_import(importer, imported) is is_allowed

    def test_reads_every_form_of_an_import(self) -> None:
        text = "import os, a.b\nfrom c import d\nfrom . import e\ndef f():\n    import g\n"
        names = [name for name, _ in imports(ast.parse(text))]
        assert names == ["os", "a.b", "c", "c.d", "a relative import", "g"]
