"""Of a message a person sees what happened, and not to whom."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.masking import PERSONAL, masked, masked_text

MESSAGE = {
    "id": "evt_1",
    "created": 1777636800,
    "data": {
        "object": {
            "id": "ch_1",
            "amount": 1999,
            "customer": "cus_1",
            "billing_details": {
                "name": "Ana Example",
                "email": "ana@music.example",
                "phone": "+49 30 901820",
                "address": {"line1": "Lindenstr. 1", "city": "Berlin", "country": "DE"},
            },
            "payment_method_details": {"card": {"last4": "4242", "network": "visa"}},
            "description": "to 4242 4242 4242 4242",
            "receipt": [{"shopperIP": "198.51.100.7", "Card-Holder": "ANA EXAMPLE"}],
            "plan": {"product_name": "a month of music", "event_name": "renewal"},
        }
    },
}


def test_who_is_meant_is_left_out_and_what_happened_stays() -> None:
    shown = masked(MESSAGE)
    charge = shown["data"]["object"]
    assert (shown["id"], charge["id"], charge["amount"], charge["customer"]) == ("evt_1", "ch_1", 1999, "cus_1")
    assert charge["payment_method_details"] == {"card": {"last4": "4242", "network": "visa"}}
    assert charge["plan"] == {"product_name": "a month of music", "event_name": "renewal"}
    assert charge["billing_details"] == {
        "name": PERSONAL,
        "email": PERSONAL,
        "phone": PERSONAL,
        "address": {"line1": PERSONAL, "city": PERSONAL, "country": "DE"},
    }
    assert charge["receipt"] == [{"shopperIP": PERSONAL, "Card-Holder": PERSONAL}]
    assert charge["description"] == "to [card number]"


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "evt_1", "name": "Ana Example", "email": "ana@music.example", "amo',
        "id=evt_1&name=Ana Example&buyer_email=ana%40music.example",
        "<event><id>evt_1</id><first-name>Ana Example</first-name></event>",
    ],
)
def test_a_text_that_nobody_could_open_is_shown_without_names(text: str) -> None:
    shown = masked_text(text)
    assert "evt_1" in shown
    assert "Ana" not in shown
    assert "music.example" not in shown


@pytest.mark.parametrize("text", ["from 198.51.100.7 on", "c|198.51.100.7|d", "2001:db8:1:2::7"])
def test_addresses_are_left_out_wherever_they_stand(text: str) -> None:
    shown = masked({"custom": text})["custom"]
    assert PERSONAL in shown
    assert "198.51" not in shown
    assert "db8" not in shown


@pytest.mark.parametrize("text", ["2026-11-27T08:00:00Z", "12:30:45", "1.2.3", "2025-09-30.clover", "evt_1:2"])
def test_times_and_versions_are_no_addresses(text: str) -> None:
    assert masked({"custom": text}) == {"custom": text}


def test_what_a_text_packs_is_not_shown() -> None:
    assert masked_text(f"bt_payload={'QW5h' * 100}&x=1") == "[411 characters]&x=1"


@given(st.dictionaries(st.sampled_from(["name", "Phone", "line_1", "holderName"]), st.text(min_size=1), max_size=3))
@settings(max_examples=30, deadline=None)
def test_however_deep_a_person_is_meant_nothing_of_them_is_shown(members: dict[str, str]) -> None:
    shown = masked([{"data": {"of": [members]}}])
    assert shown[0]["data"]["of"][0] == dict.fromkeys(members, PERSONAL)
    json.dumps(shown)
