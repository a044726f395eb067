"""Calls that the service makes: logout tokens posted to clients.

`http` is the server's only HTTP client, and every bound on a call stands there; `backchannel_logout` says what is
posted and which answer counts. What a logout token says and how often it is tried is decided in `jwtauth.protocol`;
who is told and when, in `jwtauth.endpoints.tell_logouts`. The verifier fetches keys on its own: it runs elsewhere.
"""
