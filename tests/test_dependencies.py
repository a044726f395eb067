"""Everything that is installed along with the service is known, new enough, and of a licence that we accept."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from msgspec.structs import replace

TOP: Final = Path(__file__).parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", TOP / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # msgspec looks its types up there
    spec.loader.exec_module(module)
    return module


audit: Any = _load()
POLICY: Final = audit.policy(TOP / ".ci" / "dependencies.toml")
FOUND: Final = audit.installed(audit.roots(TOP / "pyproject.toml"))
PINS: Final = audit.pins(TOP / "constraints.txt")


class TestThePolicy:
    def test_is_kept_by_what_is_installed_and_pinned(self) -> None:
        assert list(audit.problems(POLICY, FOUND, PINS)) == []

    def test_reaches_what_nobody_named(self) -> None:
        assert {"pyjwt", "httpx", "litestar", "bcrypt"} <= FOUND.keys()
        assert {"h11", "certifi", "cffi", "markupsafe"} <= FOUND.keys(), "below what the project names"
        assert "pytest" not in FOUND

    @pytest.mark.parametrize("name", POLICY.packages)
    def test_says_why_of_every_distribution(self, name: str) -> None:
        row = POLICY.packages[name]
        assert row.why
        assert bool(row.floor) == bool(row.because)
        assert row.licence in POLICY.licences


class TestTheAudit:
    """Each rule, broken once."""

    @staticmethod
    def broken(found: dict[str, Any] = FOUND, pins: dict[str, str] = PINS, **row: Any) -> list[str]:
        """The problems where the policy has another row for h11, or other things are installed or pinned."""
        changed = {**POLICY.packages, "h11": replace(POLICY.packages["h11"], **row)}
        return list(audit.problems(replace(POLICY, packages=changed), found, pins))

    def test_finds_what_is_not_in_the_policy(self) -> None:
        newcomer = {**FOUND, "leftpad": audit.Found(version="1", licence="MIT")}
        (line,) = self.broken(found=newcomer)
        assert line.startswith("leftpad: is pulled in and not in the policy")

    def test_finds_what_is_not_installed(self) -> None:
        (line,) = self.broken(found={**FOUND, "h11": None})
        assert line.startswith("h11: is pulled in and not installed")

    def test_finds_what_is_not_pinned(self) -> None:
        (line,) = self.broken(pins={name: version for name, version in PINS.items() if name != "h11"})
        assert line.startswith("h11: is pulled in and not in constraints.txt")

    def test_finds_what_is_older_than_a_security_fix(self) -> None:
        old = {**FOUND, "h11": replace(FOUND["h11"], version="0.9.0")}
        (line,) = self.broken(found=old)
        assert line.startswith("h11: 0.9.0 is installed, below 0.16.0: CVE-2025-43859")

    def test_finds_what_is_pinned_too_low(self) -> None:
        (line,) = self.broken(pins={**PINS, "h11": "0.14.0"})
        assert line.startswith("h11: 0.14.0 is in constraints.txt, below 0.16.0")

    def test_finds_what_is_banned(self) -> None:
        version = PINS["h11"]
        lines = self.broken(banned={version: "withdrawn by its maintainers"})
        assert lines[-1] == f"h11: {version} is in constraints.txt and banned: withdrawn by its maintainers"

    def test_finds_another_licence_than_the_one_accepted(self) -> None:
        (line,) = self.broken(licence="Apache-2.0")
        assert line == "h11: its licence is MIT, and was Apache-2.0 when it was accepted"

    def test_finds_a_licence_that_nobody_accepted(self) -> None:
        (line,) = self.broken(found={**FOUND, "h11": replace(FOUND["h11"], licence="SSPL-1.0")})
        assert line == "h11: its licence is 'SSPL-1.0', which is not among those that we accept"

    def test_knows_one_licence_by_several_spellings(self) -> None:
        assert self.broken(found={**FOUND, "h11": replace(FOUND["h11"], licence="MIT License")}) == []

    def test_refuses_a_policy_with_a_misspelt_member(self, tmp_path: Path) -> None:
        path = tmp_path / "dependencies.toml"
        path.write_text('[licences]\n[packages.h11]\nwhy = "x"\nlicense = "MIT"\n')
        with pytest.raises(ValueError, match="license"):
            audit.policy(path)

    def test_tells_what_is_known_and_counts_what_nobody_looked_up(self) -> None:
        known = {"name": "h11", "version": "0.14.0", "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}]}
        clean, unknown = {"name": "idna", "version": "3.20", "vulns": []}, {"name": "x", "skip_reason": "not found"}
        looked = audit.read([known, clean, unknown])
        assert looked.lines == ("h11: 0.14.0 has CVE-2025-43859, mended in 0.16.0",)
        assert looked.skipped == 1

    def test_says_loudly_that_vulnerabilities_were_not_looked_up(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(sys, "executable", "nowhere/python")
        assert audit.main() == 0
        told = capsys.readouterr()
        assert f"known vulnerabilities of {len(FOUND)} distributions are SKIPPED" in told.err
        assert told.out == f"dependencies: {len(FOUND)} distributions, 0 problems\n"
        assert audit.main(["--require-lookup"]) == 1
