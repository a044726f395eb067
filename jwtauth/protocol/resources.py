"""Resource indicators: which audience a token gets (RFC 8707, RFC 9068 section 3)."""

from urllib.parse import urlsplit

from jwtauth.errors import Failed, InvalidTarget

MAX_COUNT = 8
"""Most `resource` parameters in one request."""


def narrow(asked: tuple[str, ...], *, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The resources asked for, each once, all of them allowed; empty where none was asked for.

    Raises:
        InvalidTarget: one is not an absolute URI without fragment, or not among those allowed.
    """
    if not asked:
        return ()
    if len(asked) > MAX_COUNT:
        raise InvalidTarget(f"resource: at most {MAX_COUNT} may be asked for at once")
    for resource in asked:
        if not _is_absolute(resource):
            raise InvalidTarget("resource: must be an absolute URI without a fragment")
        if resource not in allowed:
            why = Failed("resource", f"one of: {' '.join(allowed) or 'none'}", "another")
            raise InvalidTarget("resource: this client may not ask for it", why=why)
    return tuple(dict.fromkeys(asked))


def still_granted(asked: tuple[str, ...], *, granted: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The resources of a grant's next access token: what was granted and the client may still ask for, or fewer.

    Raises:
        InvalidTarget: something else is asked for, or nothing is left: no token may fall back to another audience
            (RFC 8707 section 2.2).
    """
    if not granted:
        return narrow(asked, allowed=())
    left = tuple(resource for resource in granted if resource in allowed)
    if not left:
        raise InvalidTarget("resource: this client may no longer ask for what was granted")
    return narrow(asked, allowed=left) or left


def _is_absolute(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme) and "#" not in uri and bool(parts.netloc or parts.path)
