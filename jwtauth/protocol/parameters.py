"""How OAuth reads the parameters of a request (RFC 6749 sections 3.1 and 3.2, RFC 8707 section 2)."""

from collections.abc import Iterable

from jwtauth.errors import InvalidRequest

MAY_REPEAT = frozenset({"resource"})
"""RFC 8707 section 2: more than one resource may be asked for. Nothing else may be sent twice."""

Parameters = dict[str, str | tuple[str, ...]]
Pairs = tuple[tuple[str, str], ...]


def read(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """The parameters of a query or form: empty ones are absent, those that may repeat are tuples.

    Raises:
        InvalidRequest: a parameter was sent twice, or holds a NUL (RFC 6749 section 3.2).
    """
    found: Parameters = {}
    for name, value in pairs:
        if "\x00" in value:
            raise InvalidRequest(f"{shown(name)}: must not contain a NUL character")
        if name in MAY_REPEAT:
            if value:
                found[name] = (*found.get(name, ()), value)
        elif name in found:
            raise InvalidRequest(f"{shown(name)}: was sent more than once; send it once")
        else:
            found[name] = value
    return {name: value for name, value in found.items() if value} if "" in found.values() else found


def read_each(pairs: Pairs) -> tuple[Parameters, tuple[str, ...]]:
    """The parameters of an authorization request without those that were sent twice, and the names of these.

    A repeated parameter is refused like in `read`, but where to the refusal goes depends on which one it is.

    Raises:
        InvalidRequest: a parameter holds a NUL.
    """
    names = [name for name, _ in pairs]
    repeated = {name for name in names if name not in MAY_REPEAT and names.count(name) > 1}
    return read((name, value) for name, value in pairs if name not in repeated), tuple(sorted(repeated))


def one(parameters: Parameters, name: str) -> str | None:
    """The single value of a parameter, or None where it is absent."""
    value = parameters.get(name)
    return value if isinstance(value, str) else None


def required(parameters: Parameters, name: str, *, expected: str) -> str:
    """The single value of a parameter that must be there.

    Raises:
        InvalidRequest: it is absent; the message says what was expected.
    """
    value = one(parameters, name)
    if value is None:
        raise InvalidRequest(f"{name}: is missing; expected {expected}")
    return value


def shown(name: str) -> str:
    """A foreign parameter name, short enough to be quoted in an error."""
    return name if len(name) <= 40 else f"{name[:40]}..."
