"""Putting an issuer together from its settings: the one place that names the adapters."""

from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring.folder import KeyFolder
from jwtauth.observe import log
from jwtauth.observe.events import Observers
from jwtauth.settings import Source
from jwtauth.store.sqlite.store import SqliteStore


def open_issuer(source: Source) -> Issuer:
    """The issuer of an initialised folder.

    Raises:
        ConfigurationError: keys or database are missing, unsafe or of another version.
    """
    store = SqliteStore(source.database, max_token_lifetime=source.settings.max_token_lifetime)
    try:
        return Issuer(
            source.settings,
            store,
            KeyFolder(source.keys, passphrase=source.keys_passphrase()),
            observers=Observers([log.write]),
        )
    except Exception:
        store.close()
        raise
