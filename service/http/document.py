"""The API as an OpenAPI 3.1 document, made from the table of routes and the wire types."""

from __future__ import annotations

import functools
import inspect
import re
from http import HTTPStatus
from typing import Any, Final, get_args

import msgspec
from msgspec import structs

from service import __version__
from service.errors import (
    InternalApplicationError,
    InvalidAPITokenError,
    InvalidAuthorizationDetailsError,
    NoAPITokenError,
    OpenBookingError,
    TooManyRequestsError,
)
from service.http.examples import ANSWERS, REQUESTS, UUID
from service.http.links import AFTER, link
from service.http.media import JSON_TYPES, STREAM_TYPES
from service.http.routes import ROUTES, Route
from service.ledger import error_body
from service.ledger.feed import MEDIA_TYPE as RPDE_MEDIA_TYPE
from service.ledger.feed import CapacityPage, Change
from service.model import CONTEXT, MEDIA_TYPE, Error, Id

_REF: Final = "#/components/{}/{}"
_EVERYWHERE: Final = (
    NoAPITokenError,
    InvalidAPITokenError,
    InvalidAuthorizationDetailsError,
    TooManyRequestsError,
)
_MALFORMED: Final = "The request is malformed; the description names the place."
_TOO_SLOW: Final = "The body came too slowly."
_TOO_LARGE: Final = "The body is larger than the service reads."
_AWAY: Final = "Redis does not answer, or too many calls came; the repeated call settles it."
_OTHER_TYPE: Final = "The body is of another media type, or has a Content-Encoding."
_OWN_HEADERS: Final = {
    ("DELETE", "/order-quotes/{uuid}"): ("Lease-Released",),
    ("PUT", "/order-proposals/{uuid}"): ("Idempotency-Replayed",),
    ("PUT", "/orders/{uuid}"): ("Idempotency-Replayed",),
}
# What the type of the body leaves open: only B does without OrderItems, and nobody books none.
_QUOTED_ITEMS: Final = {
    "required": ["orderedItem"],
    "properties": {"orderedItem": {"type": "array"}},
}
_ORDERED_ITEMS: Final = {
    ("PUT", "/order-quote-templates/{uuid}"): _QUOTED_ITEMS,
    ("PUT", "/order-quotes/{uuid}"): _QUOTED_ITEMS,
    ("PUT", "/order-proposals/{uuid}"): {
        "required": ["orderedItem"],
        "properties": {"orderedItem": {"type": "array", "minItems": 1}},
    },
    ("PUT", "/orders/{uuid}"): {"properties": {"orderedItem": {"minItems": 1}}},
}
_OWN_REFUSALS: Final = {
    ("GET", "/sellers"): {404: "Nothing is known of this Seller."},
}
_MEDIA_TYPES: Final[dict[object, str]] = {
    dict[str, Any]: "application/json",
    CapacityPage: RPDE_MEDIA_TYPE,
    Change: "text/event-stream",
    str: "text/plain",
}
_REQUEST_ID: Final = "5f2b6f6e0b5d4d0f8c6f1f7e2a9d3c41"
# Of `text.whole`: in JSON Schema `$` is the end, and there is no `\Z`.
_ANCHORED: Final = re.compile(rb'"\\\\A(\(\?:[^"]*\))\\\\Z"')

(_ID,), _ = msgspec.json.schema_components([Id])
_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "uuid": {
        "name": "uuid",
        "in": "path",
        "required": True,
        "description": "The Order UUID, chosen by the Broker.",
        "schema": {"type": "string", "format": "uuid"},
        "example": UUID,
    },
    "seller": {
        "name": "seller",
        "in": "query",
        "description": "The `@id` of the Seller; `default` where neither body nor query name one.",
        "schema": _ID,
    },
    "id": {
        "name": "id",
        "in": "query",
        "required": True,
        "description": "The `@id` of an Opportunity; repeat it for several.",
        "schema": {"type": "array", "items": _ID, "minItems": 1},
    },
    "some-id": {
        "name": "id",
        "in": "query",
        "description": "The `@id` of an Opportunity; repeat it for several; none: all.",
        "schema": {"type": "array", "items": _ID},
    },
    "afterTimestamp": {
        "name": "afterTimestamp",
        "in": "query",
        "description": "`modified` of the last item that was read, as `next` has it.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 9_999_999_999_999_999},
    },
    "afterId": {
        "name": "afterId",
        "in": "query",
        "description": "`id` of the last item that was read, as `next` has it.",
        "schema": {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$"},
    },
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The last event that was received: `<modified>,<id>`. An EventSource"
        " sends it by itself.",
        "schema": {"type": "string"},
    },
    "Booking-Partner": {
        "name": "Booking-Partner",
        "in": "header",
        "description": "The Broker's authenticated identity; one never sees what is another's.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "pattern": "^[!-{}~]([ -{}~]*[!-{}~])?$",
            "default": "default",
        },
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`handling=strict`: hold nothing new unless every item can be (RFC 7240).",
        "schema": {"type": "string"},
        "example": "handling=strict",
    },
}
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "The id of this request in the log: the client's own, if it sent one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Whole seconds after which the call is worth repeating.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Lease-Released": {
        "description": "How many spaces came back.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Idempotency-Replayed": {
        "description": "An earlier call did it; this is the same answer again.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {
        "description": "The preference of the request that was honoured.",
        "schema": {"type": "string", "enum": ["handling=strict"]},
    },
}


@functools.cache
def document() -> bytes:
    """Return the OpenAPI document as JSON text that a person can read."""
    text = msgspec.json.encode(_document())
    return msgspec.json.format(_ANCHORED.sub(rb'"^\1$"', text), indent=2) + b"\n"


def _document() -> dict[str, Any]:
    routes = [route for route in ROUTES if route.gives]
    wire = {kind for route in routes for kind in (route.takes, *route.gives.values()) if kind}
    _, schemas = msgspec.json.schema_components(
        [*sorted(wire, key=str), Error], ref_template=_REF.format("schemas", "{name}")
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lease service",
            "version": __version__,
            "summary": "Holds spaces while a Customer decides: leases for the Open Booking API.",
            "description": "The calls are the Open Booking API's own, so that a booking front-end"
            " can forward what the Broker sent, untouched; other properties are ignored.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _with_numbers(schemas),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where the operator set LEASE_TOKENS_FILE."
                    " Scopes: read, lease, admin; each includes those before it.",
                }
            },
        },
    }


def _with_numbers(schema: object) -> object:
    """Describe a Decimal as the number that it is on this wire; msgspec says it is a string."""
    if isinstance(schema, list):
        return [_with_numbers(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return schema | {"type": "number"}
    return {name: _with_numbers(part) for name, part in schema.items()}


def _operation(route: Route) -> dict[str, Any]:
    summary, _, more = (inspect.getdoc(route.handler) or "").partition("\n")
    in_path = re.findall(r"{(\w+)}", route.path)
    operation: dict[str, Any] = {
        "operationId": _operation_id(route.method, route.path),
        "summary": summary.rstrip("."),
        "tags": [route.handler.__module__.rpartition(".")[2]],
        "parameters": [_ref("parameters", name) for name in (*in_path, *route.parameters)],
        "responses": _responses(route),
    }
    if more.strip():
        operation["description"] = more.strip()
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": _request_content(route)}
    if route.scope is not None:
        operation["security"] = [{"token": [route.scope.name.lower()]}, {}]
    return operation


def _operation_id(method: str, path: str) -> str:
    return f"{method.lower()}{re.sub('[^a-z]+', '_', path).rstrip('_')}"


def _request_content(route: Route) -> dict[str, Any]:
    takes, name = route.takes, _name(route.takes)
    schema = _schema(takes)
    if (items := _ORDERED_ITEMS.get((route.method, route.path))) is not None:
        schema = {"allOf": [schema, items]}
    content = {
        media_type: {"schema": schema, "example": REQUESTS[name]}
        for media_type in sorted(JSON_TYPES)
    }
    for media_type in sorted(STREAM_TYPES - JSON_TYPES if get_args(takes) else ()):
        content[media_type] = {
            "schema": {"type": "string", "description": f"One {name} on each line."}
        }
    return content


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in route.gives.items():
        responses[str(status)] = _response(route, status, kind)
    for status, described in _refusals(route).items():
        responses.setdefault(str(status), described)
    return dict(sorted(responses.items()))


def _response(route: Route, status: int, kind: object) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "headers": _headers("X-Request-Id", *_success_headers(route, status)),
    }
    if status < HTTPStatus.BAD_REQUEST and (leads_to := AFTER.get((route.method, route.path))):
        response["links"] = {
            after.name: link(after, _operation_id(after.method, after.path), route.path)
            for after in leads_to
        }
    if kind is None:
        return response
    media_type = _MEDIA_TYPES.get(kind, MEDIA_TYPE)
    response["content"] = {media_type: {"schema": _schema(kind)}}
    example = ANSWERS.get((_name(kind), status))
    if example is not None:
        response["content"][media_type]["example"] = example
    return response


def _refusals(route: Route) -> dict[int, dict[str, Any]]:
    """Return what the statuses of an error mean for a call, with an example of each type."""
    types: list[type[OpenBookingError]] = [*route.refuses, InternalApplicationError]
    plain = dict(_OWN_REFUSALS.get((route.method, route.path), {}))
    if route.scope is not None:
        types += [kind for kind in _EVERYWHERE if kind not in types]
        plain[400] = _MALFORMED
        if not any(kind.status == HTTPStatus.SERVICE_UNAVAILABLE for kind in types):
            plain[503] = _AWAY
    if route.takes is not None:
        plain |= {400: _MALFORMED, 408: _TOO_SLOW, 413: _TOO_LARGE, 415: _OTHER_TYPE}
    by_status: dict[int, list[OpenBookingError]] = {
        status: [OpenBookingError(description, status=status)]
        for status, description in plain.items()
    }
    for kind in types:
        by_status.setdefault(kind.status, []).append(kind(kind.title()))
    return {status: _refusal(errors) for status, errors in by_status.items()}


def _refusal(errors: list[OpenBookingError]) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if errors[0].status_code in {409, 429, 503}:
        names.append("Retry-After")
    return {
        "description": " ".join(error.description for error in errors),
        "headers": _headers(*names),
        "content": {
            MEDIA_TYPE: {
                "schema": _ref("schemas", "Error"),
                "examples": {
                    type(error).__name__: {"value": _error_example(error)} for error in errors
                },
            }
        },
    }


def _error_example(error: OpenBookingError) -> Error:
    return structs.replace(error_body(error), context=CONTEXT, request_id=_REQUEST_ID)


def _success_headers(route: Route, status: int) -> tuple[str, ...]:
    if "Prefer" in route.parameters:
        return ("Preference-Applied", *(["Retry-After"] if status == HTTPStatus.CONFLICT else []))
    return _OWN_HEADERS.get((route.method, route.path), ())


def _headers(*names: str) -> dict[str, Any]:
    return {name: _ref("headers", name) for name in names}


def _ref(section: str, name: str) -> dict[str, str]:
    return {"$ref": _REF.format(section, name)}


def _name(kind: object) -> str:
    """Return the name of a wire type, or of what a list holds."""
    held = (get_args(kind) or (kind,))[-1]
    return str(getattr(held, "__name__", ""))


def _schema(kind: object) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components(
        [kind], ref_template=_REF.format("schemas", "{name}")
    )
    return schema
