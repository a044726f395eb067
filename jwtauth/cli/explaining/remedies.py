"""What to do next where a check failed: one line for each check whose remedy is known."""

from collections.abc import Iterable
from typing import Final

REMEDIES: Final = {
    "client_id": "`jwtauth client list` shows who is registered, `jwtauth client create CLIENT` registers another",
    "client authentication": "let the application authenticate as it is registered, or register its way:"
    " `jwtauth client change CLIENT --auth-method METHOD`",
    "client_secret": "`jwtauth client secret rotate CLIENT` makes a new one, for the application to be given",
    "redirect_uri": "if it is the application's own, `jwtauth client change CLIENT --redirect-uri URI` registers it;"
    " name the others too, it replaces all",
    "code_verifier": "the application sends another verifier than the one whose challenge it began with, or none: look"
    " where it keeps it meanwhile",
    "code": "a code is good once, and for a short while: the application has to begin a new sign-in",
    "scope": "let the application ask for less, or `jwtauth client change CLIENT --scope 'VALUE VALUE'`, which"
    " replaces all",
    "grant_type": "`jwtauth client change CLIENT --grant-type TYPE` registers it; name the others too, it replaces all",
    "resource": "`jwtauth client change CLIENT --resource URI` registers it; name the others too, it replaces all",
    "username": "`jwtauth user list` shows who is there; `jwtauth user enable USERNAME` and"
    " `jwtauth user change USERNAME --realm REALM` let a person in",
    "password": "the person typed another one; `jwtauth user change USERNAME --password-prompt` sets a new one",
    "refresh_token": "the application has to keep the newest one of each answer; where its grant is over, the person"
    " has to sign in anew",
    "parts": "it was cut short or joined with something else: copy the whole token",
    "encoding": "it was changed on its way: copy the whole token, as it was issued",
    "typ": "it is a token of another kind: let the application send the access_token of the answer",
    "kid": "`jwtauth keys list` shows the keys of this folder: it was signed elsewhere, or too long ago",
    "signature": "it was changed, or made elsewhere: believe nothing of it",
    "iss": "it comes from another issuer: compare the setting issuer with the token's",
    "exp": "let the application refresh, or ask for a new one",
    "iat": "compare the clocks of the machines",
    "aud": "let the application ask for a token for this resource server (resource), or correct its audience",
    "status list": "it is from before a restore: let the application ask for a new one",
    "revocation": "it stays so: let the application ask for a new one; `jwtauth audit show --client CLIENT` tells why",
    "client": "`jwtauth client enable CLIENT`, if it is there and that is wanted; then ask for a new one",
    "user": "`jwtauth user enable USERNAME`, if that is wanted; then the person has to sign in anew",
    "introspection": "`jwtauth client change CLIENT --introspects-realm REALM` lets a client ask about another realm's",
    "seal": "it was changed, cut short, or made under a server secret or database that is gone: sign in anew",
    "owner": "it belongs to another client: let the one send it that got it",
    "grant": "it is over: the person has to sign in anew",
    "expiry": "it is over: the person has to sign in anew",
    "browser session": "sign in anew; with scope offline_access it outlives the browser session",
    "generation": "the application has to keep the newest one of each answer, and the person to sign in anew",
    "redeemed": "a code is good once: the application has to begin a new sign-in",
}
"""By the name of the check; CLIENT stands for the client that it is about."""


def of_checks(failed: Iterable[str], client_id: str | None) -> list[str]:
    """One line for each failed check whose remedy is known, in their order."""
    lines = (REMEDIES[check] for check in failed if check in REMEDIES)
    return list(dict.fromkeys(lines if client_id is None else (line.replace("CLIENT", client_id) for line in lines)))
