"""Resource indicators: which audience a token gets (RFC 8707, RFC 9068 section 3)."""

from urllib.parse import urlsplit

from jwtauth.errors import InvalidTarget

MAX_COUNT = 8
"""Most `resource` parameters in one request."""


def narrow(asked: tuple[str, ...], *, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The resources asked for, each once, all of them allowed; empty where none was asked for.

    Raises:
        InvalidTarget: one is not an absolute URI without fragment, or not among those allowed.
    """
    if len(asked) > MAX_COUNT:
        raise InvalidTarget(f"resource: at most {MAX_COUNT} may be asked for at once")
    for resource in asked:
        if not _is_absolute(resource):
            raise InvalidTarget("resource: must be an absolute URI without a fragment")
        if resource not in allowed:
            raise InvalidTarget("resource: this client may not ask for it")
    return tuple(dict.fromkeys(asked))


def _is_absolute(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme) and "#" not in uri and bool(parts.netloc or parts.path)
