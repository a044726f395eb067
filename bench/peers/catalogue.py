"""Who is compared, how each is installed and started, and in what each differs from the others."""

from typing import Final

from msgspec import Struct


class Document(Struct, frozen=True, kw_only=True):
    """Something that is published, for W4."""

    work: str
    path: str
    marker: bytes


class Peer(Struct, frozen=True, kw_only=True):
    """One server."""

    name: str
    version: str
    packages: str = ""
    """The file of this package that pins what is installed: `.txt` for pip, `.json` for npm; empty for ours."""
    server: str = ""
    """The file in `servers/`."""
    command: tuple[str, ...] = ()
    """What starts it in the folder of its `world.json`; `{bin}` and `{port}` are filled in."""
    storage: str
    token_path: str = "/oauth/token"
    introspection_path: str = "/oauth/introspect"
    documents: tuple[Document, ...] = ()
    has_compact_json: bool = True
    """Whether its JSON has no space after a colon; the generator finds the next refresh token only then."""
    refresh_token_bytes: int = 36
    """Randomness of the first refresh tokens: as long as its own will be, in base64, where the generator follows."""
    is_retry_safe: bool = False
    """Whether a refresh token that was used may be repeated for some seconds, as ours for lost answers."""
    opaque_resource: str = ""
    """The resource whose tokens are opaque, where JWTs cannot be introspected."""
    remarks: tuple[str, ...] = ()
    """What is unequal."""


GUNICORN: Final = ("{bin}/gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", "1")
"""One worker, one request at a time: the default worker class closes each connection, which nobody would measure."""

_BIND: Final = ("--keep-alive", "75", "--bind", "127.0.0.1:{port}", "--log-level", "warning")

_JWKS: Final = Document(work="W4 JWKS", path="/.well-known/jwks.json", marker=b'"keys"')
_SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"

OURS: Final = Peer(
    name="jwtauth",
    version="this folder",
    storage="SQLite, flushed before the answer",
    documents=(
        _JWKS,
        Document(work="W4 discovery", path=_SERVER_METADATA, marker=b'"issuer"'),
    ),
    is_retry_safe=True,
    remarks=(
        "W1 stores nothing; W3 is one commit, which requests of the same moment share",
        "W2 verifies a signature once, then asks expiry and denylist each time; `bench` has the uncached figure too",
    ),
)

PEERS: Final = (
    Peer(
        name="Authlib",
        version="1.9.8",
        packages="authlib.txt",
        server="authlib_server.py",
        command=(*GUNICORN, *_BIND, "authlib_server:app"),
        storage="SQLite, flushed before the answer",
        has_compact_json=False,
        remarks=(
            "Flask and SQLAlchemy under gunicorn",
            "W1 stores each token, in one commit; W3 takes two commits, the new token and the end of the old one",
            "W2 verifies the JWT and does not look whether it was revoked",
            "W3 uses fresh refresh tokens once each, without warm-up",
            "has no view for JWKS or discovery: no W4",
        ),
    ),
    Peer(
        name="django-oauth-toolkit",
        version="3.4.1",
        packages="django_oauth_toolkit.txt",
        server="django_server.py",
        command=(*GUNICORN, *_BIND, "django_server:application"),
        storage="SQLite, flushed before the answer",
        token_path="/token/",
        introspection_path="/introspect/",
        documents=(Document(work="W4 discovery", path=_SERVER_METADATA, marker=b'"issuer"'),),
        has_compact_json=False,
        remarks=(
            "Django under gunicorn, with no middleware but CommonMiddleware",
            "its own access tokens are opaque: the JWT comes from its setting ACCESS_TOKEN_GENERATOR, and is stored",
            "W2 looks the token up and verifies no signature",
            "client secrets are kept in plain text, as its default (PBKDF2 at each request) would hide everything else",
            "W3 uses fresh refresh tokens once each, without warm-up",
            "its JWKS has RSA keys only: W4 is discovery",
        ),
    ),
    Peer(
        name="aioauth",
        version="2.0.1",
        packages="aioauth.txt",
        server="aioauth_server.py",
        command=(
            *("{bin}/uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "warning"),
            *("--loop", "uvloop", "--http", "httptools", "aioauth_server:app"),
        ),
        storage="memory",
        remarks=(
            "FastAPI under uvicorn; nothing survives a restart",
            "leaves storage and tokens to its user: the JWT is signed by PyJWT in the storage",
            "its client_credentials answer carries a refresh token too, which it makes and stores",
            "W2 looks the token up and verifies no signature",
            "has no JWKS or discovery: no W4",
        ),
    ),
    Peer(
        name="oidc-provider",
        version="9.13.3",
        packages="oidc_provider.json",
        server="oidc_server.mjs",
        command=("{bin}/node", "oidc_server.mjs"),
        storage="memory",
        token_path="/token",
        introspection_path="/token/introspection",
        documents=(
            Document(work="W4 JWKS", path="/jwks", marker=b'"keys"'),
            Document(work="W4 discovery", path="/.well-known/openid-configuration", marker=b'"issuer"'),
        ),
        refresh_token_bytes=32,
        opaque_resource="urn:bench:opaque",
        remarks=(
            "node, where helper threads may sign on the same core; nothing survives a restart",
            "refuses to introspect JWTs: W2 is about opaque tokens, looked up in memory",
        ),
    ),
)
