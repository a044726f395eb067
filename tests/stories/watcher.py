"""A resource server in a process of its own that says when a token dies: `python watcher.py ISSUER AUDIENCE PUSH`.

Each line of input is a token. It is answered by a line once it was let in, and by another, the instant, once it was
refused; instants are those of `time.monotonic`, one clock for all processes of a machine.
"""

import sys
import time

from jwtauth.errors import InvalidToken
from jwtauth.verifier import Verifier

PAUSE_IN = 0.002


def died_at(verifier: Verifier, token: str) -> float:
    """Ask about a token until it is refused."""
    while True:
        try:
            verifier.verify(token)
        except InvalidToken:
            return time.monotonic()
        time.sleep(PAUSE_IN)


def main(issuer: str, audience: str, push: str) -> None:
    """Answer until the input ends."""
    with Verifier(issuer, audience, push=push == "push") as verifier:
        for line in sys.stdin:
            token = line.strip()
            print(verifier.verify(token).jti, flush=True)
            print(died_at(verifier, token), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
