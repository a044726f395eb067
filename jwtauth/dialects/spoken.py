"""In which dialect a request is: that of its client's, token's or transaction's realm, else of the default realm."""

from collections.abc import Mapping

from jwtauth.dialects.dialect import STANDARD_NAME, Dialect
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.visit import Visit, unseal
from jwtauth.errors import InvalidToken
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import bearer, client_auth, legacy
from jwtauth.protocol.records import Client, Realm


class Spoken:
    """What the realms of one issuer speak, as of its last look at the database."""

    def __init__(self, issuer: Issuer, dialects: Mapping[str, Dialect]) -> None:
        self._issuer = issuer
        self._dialects = dialects
        self._standard = dialects[STANDARD_NAME]
        self._realms: Mapping[str, Realm] = {}
        self._names: frozenset[str] = frozenset()

    def is_any(self) -> bool:
        """Whether any realm speaks anything but the standard: where none does, nobody has to be asked."""
        return bool(self.names())

    def names(self) -> frozenset[str]:
        """The dialects that realms speak or, before their sunset, spoke; without the standard.

        Raises:
            Overloaded: the database was exchanged under the running service.
        """
        self._issuer.begin()
        realms = self._issuer.store.directory.realms()
        if realms is not self._realms:
            self._realms = realms
            self._names = frozenset(realm.dialect for realm in realms.values()).difference({STANDARD_NAME})
        return self._names

    def of_realm(self, realm: Realm | None, *, now: int) -> Dialect:
        """What a realm speaks at this instant; the standard where there is none."""
        name = STANDARD_NAME if realm is None else legacy.dialect_of(realm, now=now)
        return self._dialects.get(name, self._standard)

    def of_client(self, client: Client | None, *, now: int) -> Dialect:
        """What is spoken with a client; with nobody in particular, what the default realm speaks."""
        realms = self._issuer.store.directory.realms()
        default = realms.get(self._issuer.settings.default_realm)
        return self.of_realm(default if client is None else client.realm, now=now)

    async def client_of(self, request: Request) -> Client | None:
        """The client that a machine's request names, proven or not."""
        sent = request.parameters if "client_id" in request.parameters else {**request.query, **request.parameters}
        client_id = client_auth.named(request.authorization, sent)
        return await self._issuer.store.directory.client(client_id) if client_id else None

    async def holder_of(self, request: Request) -> Client | None:
        """The client whose token a machine's request holds, in its header or else as a parameter, also an old one; the
        one that it names where it holds none."""
        sent = {**request.query, **request.parameters}
        token = bearer.in_header(request.authorization) or sent.get("access_token") or sent.get("token")
        try:
            found, _ = self._issuer.access_tokens.read(str(token or ""), now=self._issuer.now())
        except InvalidToken:
            return await self.client_of(request)
        return await self._issuer.store.directory.client(found.client_id)

    async def client_of_visit(self, visit: Visit) -> Client | None:
        """The client on whose behalf a browser is here: that of the transaction which it goes on with, or of the
        authorization request that it brings."""
        named = visit.asked("client_id") or visit.field("client_id")
        is_request = bool(visit.asked("response_type") or visit.field("response_type"))
        sealed = visit.field("transaction") or ("" if is_request else visit.asked("transaction"))
        transaction = unseal(self._issuer, sealed) if sealed else None
        if transaction is not None and transaction.request is not None:
            named = transaction.request.client_id
        return await self._issuer.store.directory.client(named) if named else None
