"""Calls that the service makes: logout tokens posted to clients, and questions to a realm's upstream.

`http` is the server's only HTTP client, and every bound on a call stands there; `client` carries its calls by httpx,
and is imported with the first of them; `backchannel_logout` and `upstream` say what is sent and which answer counts.
What a logout token says and how often it is tried, and what an upstream's answer proves, is decided in
`jwtauth.protocol`; who is told and when, in `jwtauth.endpoints.tell_logouts`; how many calls an upstream gets at once,
in `jwtauth.issuer.upstreams`. The verifier fetches keys on its own: it runs elsewhere.

`probe` asks a running service what `jwtauth doctor` wants to know; the service itself never calls it.
"""
