"""The machinery that the stories of `jwtauth.endpoints` are told with: settings, memory, keys, clock and throttle.

`issuer` holds it all, `assembly` puts it together from settings. Nothing here knows a request.
"""
