"""Resource servers that we did not write: programs that read tokens from standard input and write verdicts.

A line in is `{"token": ..., "audience": ..., "typ": ...}`. A line out is `""` for a good token, `"expired"`, or what
is wrong with it. Each trusts a JWKS for `max_age` seconds and no longer, and asks at no other time: a key that signs
before it was published for so long is unknown to them.
"""
