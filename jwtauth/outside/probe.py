"""Questions to a running service as its clients ask them, with all that is told beside the answer (RFC 9110).

Nothing is judged here: `jwtauth.cli.probing` does that. Every question is bounded like any call of ours
(`jwtauth.outside.http`); besides, few are asked at once: who looks after a service must not be a load on it.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import httpx
from msgspec import Struct

from jwtauth.outside import client
from jwtauth.outside.http import NoAnswer

ANSWER_IN: Final = 10.0
"""For how long one answer may take as a whole, in seconds."""

LONGEST: Final = 262_144
"""Longest body that is read, in bytes; a full status list that cannot be compressed is shorter."""

AT_ONCE: Final = 4
"""Questions at once."""


class NotTrusted(NoAnswer):
    """Nobody whom this machine trusts vouches for the certificate."""


class OtherName(NotTrusted):
    """The certificate is somebody else's."""


class NotValidNow(NotTrusted):
    """The certificate is over, or not yet valid."""


_DISTRUST: Final = {9: NotValidNow, 10: NotValidNow, 62: OtherName, 64: OtherName}
"""What OpenSSL's numbers mean (X509_V_ERR_...); any other is about who vouches for the certificate."""


class Reply(Struct, frozen=True, kw_only=True):
    """What was answered, whatever its status."""

    status: int
    headers: dict[str, str]
    """By their names in lower case; what was sent twice is joined by a comma."""
    body: bytes
    received_at: int
    """By the clock of this machine."""
    certificate_ends_at: int | None = None
    """None where no TLS was spoken."""


class Prober:
    """Asks. A private certificate authority is named by the environment variable SSL_CERT_FILE."""

    def __init__(self, *, agent: str) -> None:
        """Ask nobody yet; logs of the other side will say `agent`."""
        self._client = client.make()
        self._client.headers["user-agent"] = agent
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(
        self,
        method: str,
        uri: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        within: float = ANSWER_IN,
        longest: int = LONGEST,
    ) -> Reply:
        """The answer to one question; what of its body is beyond `longest` is not waited for.

        Raises:
            NoAnswer: nobody answered in time, or `NotTrusted`.
        """
        try:
            call = self._client.stream(method, uri, headers=headers, data=form)
            async with self._turns, asyncio.timeout(within), call as response:
                return Reply(
                    status=response.status_code,
                    headers=dict(response.headers),
                    certificate_ends_at=_certificate_ends_at(response),
                    received_at=int(time.time()),
                    body=await client.read(response, longest),
                )
        except TimeoutError:
            raise NoAnswer(f"there was no answer within {within:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            raise _unanswered(problem) from problem

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def _certificate_ends_at(response: httpx.Response) -> int | None:
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    return None if tls is None else int(ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"]))


def _unanswered(problem: Exception) -> NoAnswer:
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _DISTRUST.get(cause.verify_code, NotTrusted)(cause.verify_message)
        cause = cause.__cause__ or cause.__context__
    return NoAnswer(str(problem) or type(problem).__name__)
