"""jwtauth: an OAuth 2.x and OpenID Connect token service whose signed access tokens verify offline and can be revoked.

Resource servers import `jwtauth.verifier`; operators run the `jwtauth` command; everything else is the server.
"""
