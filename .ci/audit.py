"""Is everything that jwtauth brings along known, new enough and of a licence that we accept?

The policy is `.ci/dependencies.toml`; it needs no network. Where `pip-audit` is installed and its database answers, the
same versions are looked up there too. Each problem is one line; there must be none.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from msgspec import Struct, convert
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP: Final = Path(__file__).resolve().parents[1]
EXTRAS: Final = ("server", "legacy", "otel")
ASKED_IN: Final = 120
"""For so many seconds the vulnerability database may take to answer."""


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the policy says of one distribution."""

    why: str
    licence: str
    floor: str | None = None
    """The oldest version that may be used."""
    because: str = ""
    """Why none older."""
    banned: dict[str, str] = {}
    """Versions that must not be used though they are new enough, each with its reason: withdrawn, compromised."""
    comes_with_python: bool = False
    """Whether it is part of every environment: it is not pinned."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`.ci/dependencies.toml`."""

    licences: dict[str, tuple[str, ...]]
    """Accepted licences, and other spellings of each."""
    packages: dict[str, Row]


class Found(Struct, frozen=True, kw_only=True):
    """One distribution that is installed."""

    version: str
    licence: str
    """As it says itself."""


class LookedUp(Struct, frozen=True, kw_only=True):
    """What is publicly known."""

    lines: tuple[str, ...] = ()
    skipped: int
    """Distributions of which nobody said anything."""


def policy(path: Path) -> Policy:
    """The policy in a file."""
    return convert(tomllib.loads(path.read_text(encoding="utf-8")), Policy)


def roots(pyproject: Path) -> list[Requirement]:
    """What the project names itself, for resource servers and for the service."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in [*project["dependencies"], *extras]]


def installed(wanted: Iterable[Requirement]) -> dict[str, Found | None]:
    """Everything that these requirements pull in here, by name; None where it is not installed."""
    found: dict[str, Found | None] = {}
    seen = set[tuple[str, str]]()
    waiting = [requirement for requirement in wanted if _applies(requirement, "")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            known = distribution(name)
        except PackageNotFoundError:
            found[name] = None
            continue
        found[name] = Found(version=known.version, licence=_licence(known))
        for extra in {"", *requirement.extras} - {extra for other, extra in seen if other == name}:
            seen.add((name, extra))
            below = map(Requirement, known.requires or ())
            waiting += [needed for needed in below if _applies(needed, extra)]
    return found


def pins(constraints: Path) -> dict[str, str]:
    """The versions in constraints.txt."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def problems(rules: Policy, found: Mapping[str, Found | None], pinned: Mapping[str, str]) -> Iterator[str]:
    """What is not as the policy says, a line for each."""
    for name, package in sorted(found.items()):
        row = rules.packages.get(name)
        if row is None:
            yield f"{name}: is pulled in and not in the policy; say there why it is needed, or drop what pulls it in"
            continue
        if package is None:
            yield f"{name}: is pulled in and not installed; install the project with its extras {', '.join(EXTRAS)}"
            continue
        yield from _of_version(name, row, package.version, "installed")
        yield from _of_licence(name, row, package.licence, rules.licences)
        if name in pinned:
            yield from _of_version(name, row, pinned[name], "in constraints.txt")
        elif not row.comes_with_python:
            yield f"{name}: is pulled in and not in constraints.txt; pin the version that the tests passed with"


def _of_version(name: str, row: Row, version: str, where: str) -> Iterator[str]:
    if row.floor is not None and Version(version) < Version(row.floor):
        yield f"{name}: {version} is {where}, below {row.floor}: {row.because}"
    for banned, reason in row.banned.items():
        if Version(version) == Version(banned):
            yield f"{name}: {version} is {where} and banned: {reason}"


def _of_licence(name: str, row: Row, said: str, licences: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    names = {spelling: licence for licence, others in licences.items() for spelling in (licence, *others)}
    if said not in names:
        yield f"{name}: its licence is {said!r}, which is not among those that we accept"
    elif names[said] != row.licence:
        yield f"{name}: its licence is {said}, and was {row.licence} when it was accepted"


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _licence(known: Distribution) -> str:
    """What a distribution says of its licence, in the most exact of the three places."""
    said = known.metadata.get_all
    expression, free_text = said("License-Expression") or [""], said("License") or [""]
    classifiers = [value for value in said("Classifier") or () if value.startswith("License :: ")]
    names = " / ".join(value.rpartition(" :: ")[2] for value in classifiers)
    return expression[0] or free_text[0].strip().partition("\n")[0] or names


def vulnerabilities(found: Mapping[str, Found | None]) -> LookedUp:
    """What is publicly known against these versions, as far as somebody could be asked."""
    program = shutil.which("pip-audit", path=f"{Path(sys.executable).parent}") or shutil.which("pip-audit")
    if program is None:
        return LookedUp(skipped=len(found))
    with NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.writelines(f"{name}=={package.version}\n" for name, package in found.items() if package is not None)
        listed.flush()
        command = [program, "--requirement", listed.name, "--no-deps", "--disable-pip", "--format", "json"]
        try:
            asked = subprocess.run(command, capture_output=True, timeout=ASKED_IN, check=False)  # noqa: S603 - no shell
            answer: dict[str, Any] = json.loads(asked.stdout)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            return LookedUp(skipped=len(found))
    return read(answer["dependencies"])


def read(answered: Iterable[Mapping[str, Any]]) -> LookedUp:
    """What `pip-audit` says; a distribution that its database does not know was not looked up."""
    lines, skipped = [], 0
    for package in answered:
        skipped += "vulns" not in package
        for known in package.get("vulns", ()):
            mended = ", ".join(known["fix_versions"]) or "no version yet"
            lines.append(f"{package['name']}: {package['version']} has {known['id']}, mended in {mended}")
    return LookedUp(lines=tuple(lines), skipped=skipped)


def main(arguments: Sequence[str] = ()) -> int:
    """Print every problem; 1 if there is one, or if a look-up was required and was not had."""
    asked = _parser().parse_args(arguments)
    rules = policy(TOP / ".ci" / "dependencies.toml")
    found = installed(roots(TOP / "pyproject.toml"))
    told = list(problems(rules, found, pins(TOP / "constraints.txt")))
    known = vulnerabilities(found)
    told += known.lines
    if known.skipped:
        said = f"WARNING: known vulnerabilities of {known.skipped} distributions are SKIPPED"
        print(f"{said}: pip-audit is not installed, or its database was not reached", file=sys.stderr)
    for line in told:
        print(f"dependencies: {line}", file=sys.stderr)
    print(f"dependencies: {len(found)} distributions, {len(told)} problems")
    return 1 if told or (asked.require_lookup and known.skipped) else 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description="Look at everything that jwtauth brings along.")
    parser.add_argument(
        "--require-lookup", action="store_true", help="exit with 1 where known vulnerabilities could not be looked up"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
