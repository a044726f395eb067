"""The OpenAPI document: what Litestar knows of the pages, and the machines' endpoints as the dialects declare them."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar import Litestar

from jwtauth.dialects.dialect import STANDARD_NAME, Caller, Dialect, Endpoint, Where
from jwtauth.web.api import PUBLICATIONS, Publication
from jwtauth.web.errors import ErrorAnswer

_REFERENCE = "#/components/schemas/{name}"
_ERROR = {"$ref": _REFERENCE.format(name=ErrorAnswer.__name__)}
_REFUSALS = {
    "400": "refused",
    "401": "authentication failed",
    "405": "wrong method",
    "408": "the body did not arrive in time",
    "413": "the body is too long",
    "415": "the body is no form",
    "429": "too many wrong secrets; see Retry-After",
    "503": "overloaded, nothing was written; see Retry-After",
}
_SECURITY: dict[Caller, list[dict[str, list[str]]]] = {
    Caller.CLIENT: [{"client": []}, {}],
    Caller.CONFIDENTIAL_CLIENT: [{"client": []}],
    Caller.TOKEN_HOLDER: [{"token": []}, {}],
}
_FORM = "application/x-www-form-urlencoded"


class Documents:
    """The documents of one application: what realms do not speak is not described."""

    def __init__(self, app: Litestar, dialects: Mapping[str, Dialect]) -> None:
        self._app = app
        self._dialects = dialects
        self._made: dict[frozenset[str], bytes] = {}

    def document(self, names: frozenset[str]) -> bytes:
        """The whole document as JSON (OpenAPI 3.1); each is made once: it takes milliseconds (SECURITY D-07)."""
        if names not in self._made:
            spoken = {name: found for name, found in self._dialects.items() if name in {STANDARD_NAME, *names}}
            self._made[names] = _document(self._app, spoken)
        return self._made[names]


def _document(app: Litestar, dialects: Mapping[str, Dialect]) -> bytes:
    endpoints = list({endpoint.path: endpoint for endpoint in _endpoints(dialects)}.values())
    described: dict[str, Any] = app.openapi_schema.to_schema()
    types = [given for endpoint in endpoints for given in endpoint.gives]
    schemas, components = msgspec.json.schema_components([*types, ErrorAnswer], ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=False))
    described.setdefault("components", {}).setdefault("schemas", {}).update(components)
    standard = {endpoint.path for endpoint in dialects[STANDARD_NAME].endpoints}
    described["components"]["securitySchemes"] = {
        "client": {"type": "http", "scheme": "basic", "description": "client_id and client_secret"},
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    for endpoint in endpoints:
        answers = [by_type[given] for given in endpoint.gives]
        for method in endpoint.methods:
            schema = {"anyOf": answers} if answers else None
            operation = _operation(endpoint, method, schema, is_legacy=endpoint.path not in standard)
            described["paths"].setdefault(endpoint.path, {})[method.lower()] = operation
    for publication in PUBLICATIONS:
        described["paths"][publication.path] = {"get": _publication(publication)}
    return msgspec.json.encode(described)


def _endpoints(dialects: Mapping[str, Dialect]) -> Iterable[Endpoint]:
    """Every path once; where the standard has it, as the standard says it."""
    for name, dialect in dialects.items():
        if name != STANDARD_NAME:
            yield from dialect.endpoints
    yield from dialects[STANDARD_NAME].endpoints


def _operation(endpoint: Endpoint, method: str, answer: dict[str, Any] | None, *, is_legacy: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint, method),
        "tags": ["machines"],
        "responses": {
            "200": _response("granted", answer),
            **{status: _response(text, _ERROR) for status, text in _REFUSALS.items()},
        },
        "security": _SECURITY[endpoint.caller],
    }
    operation["deprecated"] = is_legacy
    if endpoint.parameters is Where.RAW:
        operation["requestBody"] = {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}
    elif endpoint.parameters is Where.FORM or (endpoint.parameters is Where.EITHER and method != "GET"):
        if method == "GET":
            return operation  # the token is in the header
        is_required = any(field.is_required for field in endpoint.fields)
        operation["requestBody"] = {"required": is_required, "content": {_FORM: {"schema": _form(endpoint)}}}
    else:
        operation["parameters"] = [
            {
                "name": field.name,
                "in": "query",
                "description": field.description,
                "required": field.is_required,
                "schema": {"type": "string"},
            }
            for field in endpoint.fields
        ]
    return operation


def _operation_id(endpoint: Endpoint, method: str) -> str:
    name = endpoint.path.removeprefix("/oauth/").strip("/").replace("/", "-")
    return name if len(endpoint.methods) == 1 else f"{name}-{method.lower()}"


def _publication(publication: Publication) -> dict[str, Any]:
    content = {publication.content_type.decode(): {"schema": {"type": "object"}}}
    return {
        "summary": publication.summary,
        "operationId": publication.path.rsplit("/", 1)[-1].replace(".", "-"),
        "tags": ["documents"],
        "responses": {"200": {"description": "the document", "content": content}},
    }


def _form(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: {"type": "string", "description": field.description} for field in endpoint.fields},
        "required": [field.name for field in endpoint.fields if field.is_required],
    }


def _response(description: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
