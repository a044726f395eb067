"""The OpenAPI document: the machines' endpoints as the dialects declare them, the documents and the probes."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar

from jwtauth.dialects.dialect import STANDARD_NAME, Caller, Dialect, Endpoint, Where
from jwtauth.web import health
from jwtauth.web.errors import ErrorAnswer
from jwtauth.web.publications import PUBLICATIONS, Publication

_REFERENCE = "#/components/schemas/{name}"
_ERROR = {"$ref": _REFERENCE.format(name=ErrorAnswer.__name__)}
_OTHER_WORDS = {
    "type": "object",
    "description": "a refusal in the words of an older system",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
_REFUSALS = {
    "400": "refused",
    "401": "authentication failed",
    "403": "the token is not good for this",
    "405": "wrong method",
    "408": "the body did not arrive in time",
    "410": "switched off for the client's realm",
    "413": "the body is too long",
    "415": "the body is no form",
    "421": "the service has another name; see the setting allowed_hosts",
    "429": "too many wrong secrets; see Retry-After",
    "503": "overloaded, nothing was written; see Retry-After",
}
_REFUSALS_OF_DOCUMENTS = ("405", "421", "503")
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
    paths = _by_path(dialects)
    described: dict[str, Any] = app.openapi_schema.to_schema()
    described.setdefault("paths", {})
    types = list(dict.fromkeys(given for spoken in paths.values() for endpoint in spoken for given in endpoint.gives))
    schemas, components = msgspec.json.schema_components([*types, ErrorAnswer], ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=False))
    described.setdefault("components", {}).setdefault("schemas", {}).update(components)
    standard = {endpoint.path for endpoint in dialects[STANDARD_NAME].endpoints}
    described["components"]["securitySchemes"] = {
        "client": {"type": "http", "scheme": "basic", "description": "client_id and client_secret"},
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    for path, spoken in paths.items():
        answer = _answer(spoken, by_type)
        for method in spoken[0].methods:
            operation = _operation(spoken[0], method, answer, _refusal(spoken), is_legacy=path not in standard)
            described["paths"].setdefault(path, {})[method.lower()] = operation
    for publication in PUBLICATIONS:
        described["paths"][publication.path] = {"get": _publication(publication)}
    for path, summary in health.PROBES.items():
        described["paths"][path] = {"get": _probe(path, summary)}
    return msgspec.json.encode(described)


def _by_path(dialects: Mapping[str, Dialect]) -> dict[str, list[Endpoint]]:
    """Every path, as each dialect has it; first as the standard does, where it has it."""
    found: dict[str, list[Endpoint]] = {}
    for dialect in sorted(dialects.values(), key=lambda dialect: dialect.name != STANDARD_NAME):
        for endpoint in dialect.endpoints:
            found.setdefault(endpoint.path, []).append(endpoint)
    return found


def _answer(spoken: Sequence[Endpoint], schemas: Mapping[type, dict[str, Any]]) -> dict[str, Any] | None:
    """What a path answers in any dialect; None where the body is empty, or nobody says what is in it.

    Some older systems say a refusal with the status of success.
    """
    answers = [schemas[given] for given in dict.fromkeys(given for endpoint in spoken for given in endpoint.gives)]
    if not answers:
        return None
    are_many = any(not endpoint.gives for endpoint in spoken)
    return {"anyOf": [*answers, *([{"type": "object"}] if are_many else []), *_refusal(spoken)["anyOf"][1:]]}


def _refusal(spoken: Sequence[Endpoint]) -> dict[str, Any]:
    """How a path refuses in any dialect."""
    has_other_words = any(endpoint.refuses is not None for endpoint in spoken)
    return {"anyOf": [_ERROR, *([_OTHER_WORDS] if has_other_words else [])]}


def _operation(
    endpoint: Endpoint, method: str, answer: dict[str, Any] | None, refusal: dict[str, Any], *, is_legacy: bool
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint, method),
        "tags": ["machines"],
        "responses": {
            "200": _response("granted", answer),
            **{status: _response(text, refusal) for status, text in _REFUSALS.items()},
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
        "responses": {
            "200": {"description": "the document", "content": content},
            **{status: _response(_REFUSALS[status], _ERROR) for status in _REFUSALS_OF_DOCUMENTS},
        },
    }


def _probe(path: str, summary: str) -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": summary,
        "operationId": path.removeprefix("/"),
        "tags": ["operation"],
        "responses": {
            "200": {"description": "yes", "content": content},
            "405": _response(_REFUSALS["405"], _ERROR),
            "503": {"description": "no, and why", "content": content},
        },
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
