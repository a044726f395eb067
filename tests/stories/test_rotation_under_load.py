"""Both lines of keys change under load, on the real clock, and no resource server notices (SECURITY J-15, S-12).

The margins of 60 and 120 seconds are there for clocks that differ. All processes of the story have the same one, so it
leaves the margins out, by moving the dates of a line into the past, and waits for everything else.
"""

import json
import shutil
import subprocess
import sys
import time
import warnings
from collections import deque
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

import httpx
import pytest
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.errors import ExpiredToken, InvalidToken
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.claims import GRACE_IN
from jwtauth.verifier import Verifier
from tests.stories.test_rotation import kid_of, rotate
from tests.support import forking, waiting
from tests.support.home import SECRET
from tests.support.person import CALLBACK
from tests.web.people import CODE, OIDC, Service
from tests.web.site import claims_of

MAX_LIFETIME_IN: Final = 6
LIFETIME_IN: Final = 4
JWKS_MAX_AGE: Final = 1
PUBLISH_IN: Final = 3
"""So long a new key is published before it signs: the JWKS of `JWKS_MAX_AGE`, rounded up generously."""
CHECKS: Final = 200
"""So many checks of one verifier, and of tokens of one key, are the least that the story is worth."""
WITHIN: Final = 60.0
wait_until = partial(waiting.wait_until, within=WITHIN)

OURS, PYJWT, JOSE = "jwtauth", "PyJWT", "jose"
LINES: Final = {"at+jwt": "ES256", "JWT": "RS256"}
"""What signs access tokens and ID tokens."""

EVERY_CHECK: Final = pytest.mark.parametrize(
    ("verifier", "typ"), [(OURS, "at+jwt"), (PYJWT, "at+jwt"), (PYJWT, "JWT"), (JOSE, "at+jwt"), (JOSE, "JWT")]
)

PROGRAMS: Final = Path(__file__).parent / "verifiers"
INSTALL: Final = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent")


class Issued(Struct, frozen=True, kw_only=True):
    """A token as a resource server, or the client, gets it."""

    token: str
    audience: str
    typ: str

    @property
    def kid(self) -> str:
        return kid_of(self.token)

    @property
    def claims(self) -> dict[str, Any]:
        return claims_of(self.token)


class Check(Struct, frozen=True, kw_only=True):
    """One token looked at by one verifier."""

    verifier: str
    kid: str
    at: float
    problem: str


class Look(Struct, frozen=True, kw_only=True):
    """The published kids, and between which instants they were."""

    asked_at: float
    answered_at: float
    kids: frozenset[str]


class Ours:
    """The verifier that we ship; it verifies access tokens only."""

    typs = frozenset({"at+jwt"})

    def __init__(self, service: Service) -> None:
        self._verifier = Verifier(service.server.url, service.home.realm().audience)

    def verdict(self, issued: Issued) -> str:
        """What is wrong with a token, or nothing."""
        try:
            self._verifier.verify(issued.token)
        except ExpiredToken:
            return "expired"
        except InvalidToken as problem:
            return repr(problem)
        return ""

    def close(self) -> None:
        self._verifier.close()


class Program:
    """A verifier of others in a process of its own (see `tests.stories.verifiers`)."""

    typs = frozenset(LINES)

    def __init__(self, service: Service, *command: str) -> None:
        arguments = [*command, service.server.url, jwks_uri(service), str(JWKS_MAX_AGE)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def verdict(self, issued: Issued) -> str:
        """What is wrong with a token, or nothing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"token": issued.token, "audience": issued.audience, "typ": issued.typ}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        said: str = json.loads(self._process.stdout.readline())
        return said

    def close(self) -> None:
        self._process.communicate(timeout=WITHIN)


class Load(Thread):
    """Gets tokens without pause, has all of them verified at once, and one that is nearly over with each of them."""

    def __init__(self, service: Service, verifiers: dict[str, Ours | Program]) -> None:
        super().__init__()
        self.issued: list[Issued] = []
        self.checks: list[Check] = []
        self.looks: list[Look] = []
        self._service = service
        self._verifiers = verifiers
        self._audience = service.home.realm().audience
        self._alive: dict[str, deque[Issued]] = {typ: deque() for typ in LINES}
        self._is_over = Event()
        self._http = httpx.Client(
            base_url=service.server.url,
            auth=("own", SECRET),
            headers={"connection": "close"},  # so that both workers answer
            timeout=WITHIN,
        )
        with service.browser() as person:
            self._refresh_token: str = service.tokens(person, "own")["refresh_token"]

    def run(self) -> None:
        while not self._is_over.is_set():
            for issued in self._issue():
                self.issued.append(issued)
                self._alive[issued.typ].append(issued)
                self._check(issued)
            for alive in self._alive.values():
                while alive and alive[0].claims["exp"] <= time.time():
                    alive.popleft()
                if alive:
                    self._check(alive[0])
            self._look()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self.join()
        self._http.close()

    def wait_until(self, instant: float) -> None:
        """Go on until that instant has passed and was looked at."""
        wait_until(lambda: not self.is_alive() or (bool(self.looks) and self.looks[-1].asked_at > instant))
        assert self.is_alive()

    def _issue(self) -> list[Issued]:
        """A person's access token and ID token, by a refresh."""
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        granted = self._http.post("/oauth/token", data=form).raise_for_status().json()
        self._refresh_token = granted["refresh_token"]
        return [
            Issued(token=granted["access_token"], audience=self._audience, typ="at+jwt"),
            Issued(token=granted["id_token"], audience="own", typ="JWT"),
        ]

    def _check(self, issued: Issued) -> None:
        for name, verifier in self._verifiers.items():
            if issued.typ not in verifier.typs:
                continue
            problem = verifier.verdict(issued)
            at = time.time()
            if problem == "expired" and at >= issued.claims["exp"]:
                continue  # it was alive when it was sent
            self.checks.append(Check(verifier=name, kid=issued.kid, at=at, problem=problem))

    def _look(self) -> None:
        asked_at = time.time()
        keys = self._http.get("/.well-known/jwks.json").raise_for_status().json()["keys"]
        kids = frozenset(key["kid"] for key in keys)
        self.looks.append(Look(asked_at=asked_at, answered_at=time.time(), kids=kids))


class Line(Struct, frozen=True, kw_only=True):
    """The rotation of one line of keys, with the instants that `keys plan` announced."""

    typ: str
    old: str
    new: str
    signs_at: int
    announced_at: int
    """When the old key leaves the JWKS, as announced after the new one began to sign."""
    retires_at: int
    """When it did, its margin for slow clocks left out."""


class Story(Struct, frozen=True, kw_only=True):
    """What happened."""

    load: Load
    lines: dict[str, Line]
    log: str
    private: list[str]


@pytest.fixture(scope="module")
def jose(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The program with jose as its makers publish it, or None where it cannot be had."""
    folder = tmp_path_factory.mktemp("jose")
    for name in ("package.json", "with_jose.mjs"):
        shutil.copy(PROGRAMS / name, folder)
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        _warn("no npm on this machine")
        return None
    done = subprocess.run([npm, *INSTALL], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        _warn(f"npm could not install jose: {done.stderr.strip()[-200:]}")
        return None
    return folder / "with_jose.mjs"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, jose: Path | None) -> Story:
    """Both keys are rotated, from published to retired, under two workers."""
    path = tmp_path_factory.mktemp("under-load")
    service = Service(path, workers=2, max_token_lifetime=MAX_LIFETIME_IN, jwks_max_age=JWKS_MAX_AGE)
    service.home.realm(access_token_in=LIFETIME_IN)
    service.home.client("own", asks_consent=False, scope=OIDC, grant_types=CODE, redirect_uris=(CALLBACK,))
    service.home.user("ada")
    with service, ExitStack() as closing:
        verifiers: dict[str, Ours | Program] = {
            OURS: Ours(service),
            PYJWT: Program(service, sys.executable, str(PROGRAMS / "with_pyjwt.py")),
        }
        if jose is not None:
            verifiers[JOSE] = Program(service, "node", str(jose))
        for verifier in verifiers.values():
            closing.callback(verifier.close)
        with Load(service, verifiers) as load:
            lines = rotate_both(service, load)
    return Story(load=load, lines=lines, log=service.server.log.read_text(), private=private_parts(service))


def rotate_both(service: Service, load: Load) -> dict[str, Line]:
    """Publish successors, let them sign, let the old keys retire; the load goes on all the time."""
    wait_until(lambda: len(load.checks) >= CHECKS)
    published = {algorithm: rotate(service, "--algorithm", algorithm) for algorithm in LINES.values()}
    begins = {step["kid"]: step["at"] for step in plan(service) if "begins to sign" in step["text"]}
    signs_at = {
        algorithm: bring_near(service, algorithm, begins[record["kid"]]) for algorithm, record in published.items()
    }
    load.wait_until(max(signs_at.values()) + LIFETIME_IN)
    leaves = {step["kid"]: step["at"] for step in plan(service) if "leaves the JWKS" in step["text"]}
    retires_at = {
        algorithm: bring_near(service, algorithm, leaves[record["old_kid"]]) for algorithm, record in published.items()
    }
    load.wait_until(max(retires_at.values()) + JWKS_MAX_AGE)
    return {
        typ: Line(
            typ=typ,
            old=published[algorithm]["old_kid"],
            new=published[algorithm]["kid"],
            signs_at=signs_at[algorithm],
            announced_at=leaves[published[algorithm]["old_kid"]],
            retires_at=retires_at[algorithm],
        )
        for typ, algorithm in LINES.items()
    }


def bring_near(service: Service, algorithm: str, instant: int) -> int:
    """Move all dates of a line into the past, so that an instant of its plan is `PUBLISH_IN` seconds away.

    Returns:
        When it is. No process is started between reading the clock and writing the dates: that takes seconds on a
        loaded machine, and the instant would be over before it was announced.
    """
    seconds = max(0, instant - int(time.time()) - PUBLISH_IN)
    folder = KeyFolder(service.home.source.keys)
    line = [record for record, _ in folder.read_keys() if record.algorithm == algorithm]
    for record in sorted(line, key=lambda record: record.signs_at):
        folder.replace_key(replace(record, created_at=record.created_at - seconds, signs_at=record.signs_at - seconds))
    service.home.ask(lambda store: store.administration.announce_keys())
    return instant - seconds


def plan(service: Service) -> list[dict[str, Any]]:
    """`jwtauth keys plan`, as an operator types it."""
    found: list[dict[str, Any]] = json.loads(forking.run("keys", "plan", "--json", folder=service.home.path).stdout)
    return found


def private_parts(service: Service) -> list[str]:
    """Every line of a private key, and every server secret as its file has it."""
    lines = [
        line for path in service.home.source.keys.iterdir() for line in path.read_text().replace("\\n", '"').split('"')
    ]
    return [line for line in lines if len(line) > 43]  # longer than a kid


def jwks_uri(service: Service) -> str:
    return f"{service.server.url}/.well-known/jwks.json"


class TestARotationUnderLoad:
    @EVERY_CHECK
    def test_j_15_s_12_fails_no_verification(self, story: Story, verifier: str, typ: str) -> None:
        checks = checks_of(story, verifier, typ)
        assert [check for check in checks if check.problem] == []
        assert len(checks) >= CHECKS
        assert {check.kid for check in checks} == {story.lines[typ].old, story.lines[typ].new}

    @EVERY_CHECK
    def test_lets_tokens_of_the_old_key_verify_until_they_expire(self, story: Story, verifier: str, typ: str) -> None:
        line = story.lines[typ]
        late = [check for check in checks_of(story, verifier, typ) if check.at > line.signs_at]
        assert {check.problem for check in late if check.kid == line.old} == {""}

    @pytest.mark.parametrize("typ", LINES)
    def test_s_12_signs_from_the_planned_instant_on(self, story: Story, typ: str) -> None:
        line = story.lines[typ]
        tokens = [issued for issued in story.load.issued if issued.typ == typ]
        assert {issued.kid for issued in tokens if issued.claims["iat"] < line.signs_at} == {line.old}
        assert {issued.kid for issued in tokens if issued.claims["iat"] >= line.signs_at} == {line.new}

    @pytest.mark.parametrize("typ", LINES)
    def test_j_15_takes_the_old_kid_out_of_the_jwks_at_the_planned_instant(self, story: Story, typ: str) -> None:
        line = story.lines[typ]
        assert line.announced_at == line.signs_at + MAX_LIFETIME_IN + GRACE_IN
        assert line.retires_at > line.signs_at + LIFETIME_IN
        before = [look for look in story.load.looks if look.answered_at < line.retires_at]
        after = [look for look in story.load.looks if look.asked_at >= line.retires_at]
        assert {line.old in look.kids for look in before} == {True}
        assert {line.old in look.kids for look in after} == {False}
        assert {line.new in look.kids for look in after} == {True}


def test_writes_nothing_private_into_the_log(story: Story) -> None:
    assert story.private
    assert [part for part in story.private if part in story.log] == []


def checks_of(story: Story, verifier: str, typ: str) -> list[Check]:
    """The checks of one verifier of one line's tokens."""
    line = story.lines[typ]
    found = [check for check in story.load.checks if check.verifier == verifier and check.kid in (line.old, line.new)]
    if verifier == JOSE and not found:
        pytest.skip("jose cannot be had on this machine")
    return found


def _warn(why: str) -> None:
    warnings.warn(f"{why}: the checks with jose are skipped", pytest.PytestWarning, stacklevel=1)
