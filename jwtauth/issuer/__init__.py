"""The machinery that the stories of `jwtauth.endpoints` are told with: settings, memory, keys, clock, throttle,
what upstreams say, which clients were proven, who uses legacy doors, what is read and signed together.

`issuer` holds it all, `assembly` puts it together from settings. Nothing here knows a request.
"""
