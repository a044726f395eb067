"""Why a token is accepted or refused, check by check: `jwtauth explain`.

`explained` is what comes out; `signed_tokens` looks at access and ID tokens, `pointers` at codes and refresh tokens.
The rules of `jwtauth.protocol` have the last word; a check says which part of a rule it was.
"""
