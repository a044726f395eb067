"""Putting an issuer together from its settings: the one place that names the adapters."""

from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring.folder import KeyFolder
from jwtauth.observe import log
from jwtauth.observe.audit import AuditLog
from jwtauth.observe.events import Observers
from jwtauth.observe.metrics import AUDIT_LOST, Metrics
from jwtauth.observe.sieve import Sieve
from jwtauth.settings import Source
from jwtauth.store.sqlite.store import SqliteStore


def open_issuer(source: Source) -> Issuer:
    """The issuer of an initialised folder.

    Raises:
        ConfigurationError: keys or database are missing, unsafe or of another version.
    """
    metrics = Metrics()
    store = SqliteStore(
        source.database, max_token_lifetime=source.settings.max_token_lifetime, on_commit=metrics.committed
    )
    try:
        return Issuer(
            source.settings,
            store,
            KeyFolder(source.keys, passphrase=source.keys_passphrase()),
            observers=listening(source, metrics),
            metrics=metrics,
        )
    except Exception:
        store.close()
        raise


def listening(source: Source, metrics: Metrics) -> Observers:
    """Everybody who is told what happens: who counts it, the log and, where there is one, the audit log; neither of
    these of a flood.

    Raises:
        ConfigurationError: the audit log cannot be written.
    """
    if source.audit is None:
        sieve = Sieve([log.write])
        return Observers([metrics.count, sieve.hear], closes=[sieve.flush])
    audit_log = AuditLog(source.audit, keep_in=source.settings.audit_keep_in)
    sieve = Sieve([log.write, audit_log.hear])
    metrics.watch(AUDIT_LOST, lambda: audit_log.lost_altogether)
    return Observers(
        [metrics.count, sieve.hear], closes=[sieve.flush, audit_log.close], checks={"audit log": audit_log.problem}
    )
