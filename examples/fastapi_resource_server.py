"""A resource server in FastAPI: every request needs a token, some need more.

With `jwtauth dev` running, and `pip install jwtauth fastapi uvicorn`, one command starts it:

    uvicorn --app-dir examples fastapi_resource_server:app --port 8001

Then, with a token that `jwtauth dev` printed:

    curl -i http://127.0.0.1:8001/me -H "Authorization: Bearer $TOKEN"

ISSUER, AUDIENCE and RESOURCE in the environment name another issuer, what its tokens for you carry in `aud`, and your
own URL. PUSH=1 hears of revocations at once instead of within `ttl` seconds.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response

from jwtauth.verifier import Claims, InsufficientScope, Verifier
from jwtauth.verifier.asgi import ProtectedResource
from jwtauth.verifier.gate import Gate

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
AUDIENCE = os.environ.get("AUDIENCE", f"{ISSUER}/realms/default")
RESOURCE = os.environ.get("RESOURCE", "http://127.0.0.1:8001")

verifier = Verifier(ISSUER, AUDIENCE, push=os.environ.get("PUSH") == "1")
gate = Gate(verifier, public=["/healthz"], resource=RESOURCE)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep the verifier for as long as the process lives."""
    with verifier:
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(ProtectedResource, gate=gate)


def claims_of(request: Request) -> Claims:
    """Who asks; the middleware has made sure that there is somebody."""
    return request.state.claims


Caller = Annotated[Claims, Depends(claims_of)]


@app.exception_handler(InsufficientScope)
async def refuse(request: Request, error: InsufficientScope) -> Response:
    """The answer of the middleware, for what a handler requires beyond it."""
    answer = gate.refusal(error)
    return Response(answer.body, answer.status, dict(answer.headers))


@app.get("/healthz")
async def healthz() -> str:
    """Needs no token."""
    return "ok"


@app.get("/me")
async def me(caller: Caller) -> dict[str, object]:
    """Needs a good token."""
    return {"subject": caller.subject, "client": caller.client_id, "scope": caller.scope}


@app.get("/reports")
async def reports(caller: Caller) -> list[str]:
    """Needs `read` too."""
    caller.require_scope("read")
    return ["January", "February"]


@app.get("/metrics/revocation-lag")
async def lag() -> float:
    """How many seconds a revocation may take, now, until it is seen here."""
    return verifier.lag()
