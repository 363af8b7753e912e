"""What is an amount of money, and that each has one form only (rules 18 and 24)."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ledger.answers import offer
from service.ledger.registration import price_text
from service.model import OfferRegistration, TotalRequest
from service.money import normal

AMOUNTS = st.decimals(0, 999_999_999, allow_nan=False, allow_infinity=False, places=6)


def registered(price: str) -> OfferRegistration:
    """Return an Offer whose price is this JSON."""
    body = f'{{"@id": "o", "price": {price}, "priceCurrency": "GBP"}}'
    return msgspec.json.decode(body, type=OfferRegistration)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("10", "10"),
        ("10.0", "10"),
        ("10.000000000", "10"),
        ("1e1", "10"),
        ("1E+1", "10"),
        ("100e-1", "10"),
        ("100", "100"),
        ("0.10", "0.1"),
        ("0.000001", "0.000001"),
        ("0.0000010", "0.000001"),
        ("1e-6", "0.000001"),
        ("999999999.999999", "999999999.999999"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("-0e3", "0"),
        ("0.00", "0"),
    ],
)
def test_an_amount_has_one_form(written: str, text: str) -> None:
    """However a number is written, as a number or in a string, it is kept alike (rule 18)."""
    for price in (written, f'"{written}"'):
        assert price_text(registered(price)) == f"{text} GBP"


@given(AMOUNTS, st.integers(-3, 3))
def test_no_amount_is_rounded(value: Decimal, shift: int) -> None:
    """Every amount stays the exact number that it is, with or without an exponent (rule 18)."""
    written = f"{value.scaleb(-shift):f}e{shift}"
    for price in (written, json.dumps(written)):
        found = registered(price).price
        assert found == value
        assert f"{found}" == f"{normal(value)}" == f"{OfferRegistration('o', value).price}"


@pytest.mark.parametrize(
    "price",
    [
        *('"+10"', '" 10 "', '"10\\n"', '"1_0"', '"0x1"', '"1,0"', '"010"', '".5"', '"5."', '""'),
        *('"１０"', '"١٠"', '"NaN"', '"sNaN"', '"Infinity"', '"-Infinity"', '"ten"'),  # noqa: RUF001 - digits that Python reads
        *("-1", "-0.000001", "1000000000", "1e9", "0.0000001", "1e-7", "1e999999", "1e-999999"),
        *("0.1000000000000000000000000000000000000000000001", "9" * 400, '"1e99999999999999999"'),
        *("true", "[10]", '{"value": 10}', '"\\ud83d\\ude00"'),
    ],
)
def test_what_is_no_amount_is_refused_by_its_place(price: str) -> None:
    """Signs, blanks, other digits, too fine or too large: refused by the place (rule 24)."""
    with pytest.raises(msgspec.ValidationError, match=r"`price`.* - at `\$\.offers\[1\]`"):
        msgspec.json.decode(
            f'{{"offers": [{{"@id": "n"}}, {{"@id": "o", "price": {price}}}]}}', type=_Offers
        )


class _Offers(msgspec.Struct):
    offers: list[OfferRegistration]


def test_an_amount_that_nobody_says_is_unknown() -> None:
    """Null is as good as nothing, for a price and for a total (rule 24)."""
    for body in (b"{}", b'{"price": null, "priceCurrency": null}'):
        assert msgspec.json.decode(body, type=TotalRequest).price is None
    assert price_text(registered("null")) == ""


def test_a_total_may_be_the_sum_of_a_thousand_prices() -> None:
    """The limit of `totalPaymentDue` is that of a price, for as many as an Order has (rule 18)."""
    most = "999999999999.999"
    total = msgspec.json.decode(f'{{"price": {most}}}', type=TotalRequest)
    assert total.price == Decimal(most)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"price": 1e12}', type=TotalRequest)


def test_a_body_that_is_built_in_python_has_amounts_too() -> None:
    """What a front-end's own program builds is judged and written alike (rule 24)."""
    built = OfferRegistration("o", Decimal("7.10"), "GBP")
    written = msgspec.json.Encoder(decimal_format="number").encode(built)
    assert written == b'{"@id":"o","price":7.1,"priceCurrency":"GBP"}'
    assert msgspec.json.decode(msgspec.json.encode(built), type=OfferRegistration) == built
    assert b'"price":null' in msgspec.json.encode(OfferRegistration("o"))
    for wrong in (Decimal("NaN"), Decimal(-1), Decimal("1e9")):
        with pytest.raises(ValueError, match="`price`"):
            OfferRegistration("o", wrong)


@pytest.mark.parametrize(
    ("stored", "price"), [("10.50 GBP", "10.5"), ("-0.0", "0"), ("1E+1", "10")]
)
def test_what_an_earlier_release_stored_is_answered_in_that_form(stored: str, price: str) -> None:
    """A price that was stored as it came is answered in normal form (rule 18)."""
    assert f"{offer('o', stored).price}" == price
