"""PyJWT's JWKS client: `python with_pyjwt.py ISSUER JWKS_URI MAX_AGE`."""

import json
import sys

import jwt
from jwt import PyJWKClient
from jwt.exceptions import ExpiredSignatureError, PyJWTError

ALGORITHMS = ["ES256", "RS256"]


def verdict(client: PyJWKClient, issuer: str, token: str, audience: str, typ: str) -> str:
    """What is wrong with a token, or nothing.

    The key is looked up in the set as it is cached: `get_signing_key` would ask again for one that it does not know.
    """
    header = jwt.get_unverified_header(token)
    key = client.match_kid(client.get_jwk_set().keys, header["kid"])
    if key is None:
        return f"{header['kid']} is not in the JWKS"
    if header["typ"] != typ:
        return f"typ is {header['typ']}"
    try:
        jwt.decode(token, key, algorithms=ALGORITHMS, issuer=issuer, audience=audience)
    except ExpiredSignatureError:
        return "expired"
    except PyJWTError as problem:
        return repr(problem)
    return ""


def main(issuer: str, jwks_uri: str, max_age: str) -> None:
    """Answer until the input ends."""
    client = PyJWKClient(jwks_uri, lifespan=int(max_age))
    for line in sys.stdin:
        print(json.dumps(verdict(client, issuer, **json.loads(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
