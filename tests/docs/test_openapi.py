from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from service.http.document import document
from service.http.routes import ROUTES

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(document())
EXCHANGES = Path(__file__).parents[1] / "data" / "open-booking-examples"


def schema_of(node: dict[str, Any]) -> Draft202012Validator:
    """Return what judges values of a schema that refers to the document's components."""
    return Draft202012Validator(node | {"components": DOCUMENT["components"]})


def contents(node: Any) -> Iterator[dict[str, Any]]:
    """Find every media type object, wherever it is."""
    if isinstance(node, dict):
        yield from node.get("content", {}).values()
        for value in node.values():
            yield from contents(value)


def test_the_committed_document_is_the_generated_one() -> None:
    """`docs/openapi.json` is what the types say; `make openapi` writes it."""
    assert COMMITTED.read_bytes() == document()


def test_the_document_is_valid() -> None:
    """The document is OpenAPI 3.1."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    validate(DOCUMENT)


def test_every_example_fits_its_schema() -> None:
    """What the document shows as an example is what its schema allows."""
    examples = 0
    for content in contents(DOCUMENT["paths"]):
        values = [content["example"]] if "example" in content else []
        values += [example["value"] for example in content.get("examples", {}).values()]
        for value in values:
            schema_of(content["schema"]).validate(value)
            examples += 1
    assert examples > 30


def test_every_call_is_documented() -> None:
    """Each route that is for programs has a summary, its success, and its errors."""
    pages = ("/docs", "/dashboard")
    documented = [route for route in ROUTES if not route.path.startswith(pages)]
    for route in documented:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        assert "500" in operation["responses"]
        assert set(map(str, route.gives)) <= operation["responses"].keys()


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("c1-request", "OrderRequest"),
        ("c2-request", "OrderRequest"),
        ("b-request", "OrderRequest"),
        ("p-request", "OrderRequest"),
        ("b-request-from-proposal", "OrderRequest"),
        ("order-proposal-update-request", "ProposalPatch"),
        ("order-cancellation-request", "OrderPatch"),
    ],
)
def test_the_published_requests_fit(name: str, schema: str) -> None:
    """The standard's own requests are what the document asks for."""
    body = json.loads((EXCHANGES / f"{name}.json").read_text())["body"]
    schema_of({"$ref": f"#/components/schemas/{schema}"}).validate(body)


def test_durations_are_iso_8601() -> None:
    """A length of time is a string of the format `duration`, wherever it stands."""
    schemas = DOCUMENT["components"]["schemas"]
    for schema, name in (
        ("StepPolicy", "duration"),
        ("LeasingPolicy", "maximumHold"),
        ("LeasingPolicy", "paymentWindow"),
        ("PaymentWindowRequest", "duration"),
    ):
        length = schemas[schema]["properties"][name]
        length = length.get("anyOf", [length])[0]
        assert (length["type"], length["format"]) == ("string", "duration")
