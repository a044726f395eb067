"""`jwtauth init`."""

from pathlib import Path

import click

from jwtauth.cli import setup
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, show_one
from jwtauth.cli.running import now, open_keys
from jwtauth.keyring.keyring import Keyring
from jwtauth.settings import load


@click.command(epilog=example("jwtauth init", "jwtauth --folder /srv/tokens init --json"))
@json_option
@click.pass_obj
def init(folder: Path, as_json: bool) -> None:
    """Make keys, server.secret, database and the built-in realm.

    What exists stays as it is; run it again after an upgrade to bring the database's schema up to date and to make
    keys that the new version needs.
    """
    source, instant = load(folder), now()
    setup.initialise(source, now=instant)
    keyring = Keyring(open_keys(source), max_token_lifetime=source.settings.max_token_lifetime)
    record = {
        "issuer": source.settings.issuer,
        "database": str(source.database),
        "keys": str(source.keys),
        "signing_key": keyring.signing_key(source.settings.access_token_algorithm, now=instant).kid,
        "id_token_key": keyring.signing_key(setup.ID_TOKEN_ALGORITHM, now=instant).kid,
        "realm": setup.BUILT_IN_REALM,
    }
    show_one(record, as_json=as_json)
