import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.privacy import email_parts, holds_card_number, luhn, mask

PANS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "378282246310005",
    "6011000990139424",
    "5555555555554444",
]


@pytest.mark.parametrize("pan", PANS)
def test_a_card_number_is_masked_wherever_it_stands(pan: str) -> None:
    assert mask(f"reference {pan}.") == "reference [card number]."
    assert holds_card_number(f"x{pan}")


@pytest.mark.parametrize(
    "text",
    [
        "8636172945333378",
        "9913140798220028",
        "1795435200000",
        "4111111111111112",
        "evt_1",
        "2026-11-23T12:00:00.000000Z",
    ],
)
def test_a_reference_or_an_instant_is_not_taken_for_a_card_number(text: str) -> None:
    assert mask(text) == text


@given(st.text(max_size=20), st.sampled_from(["+", "=", "/", ",", " ", "<", "(", ":"]))
def test_an_email_address_is_masked_in_any_text(before: str, mark: str) -> None:
    assert "shopper@music.example" not in mask(f"{before}{mark}shopper@music.example")


@pytest.mark.parametrize(
    "address", ["josé@music.example", "ana@müsic.example", "用户@例子.广告", "ana_b@xn--msic-0ra.example"]
)
def test_an_address_in_any_script_is_masked(address: str) -> None:
    assert mask(f"paid by <{address}>.") == "paid by <[e-mail]>."


def test_luhn_knows_a_valid_number_from_a_mistyped_one() -> None:
    assert luhn("79927398713")
    assert not luhn("79927398710")


def test_the_same_address_gives_the_same_hash_and_only_the_domain_stays_readable() -> None:
    assert email_parts("Ana@Music.example") == email_parts("ana@music.EXAMPLE ")
    assert email_parts("ana@music.example")[1] == "music.example"


@pytest.mark.parametrize("text", [None, "", "ana", "ana@", "@music.example", "a@b@c", "a@" + "b" * 400])
def test_what_is_no_address_gives_nothing(text: str | None) -> None:
    assert email_parts(text) == (None, None)


# Each holds 13 digits or more that begin as a card's number does and have its check digit.
OPAQUE = [
    "313874cd-dfbc-423d-b246-548991270564",
    "c5555555555554444b3c4d5e6f7a8b9c",
    "6011000990139424" + "a" * 48,
]


@pytest.mark.parametrize("token", OPAQUE)
@pytest.mark.parametrize("form", ["{}", "D-4-{}", "krn:payment:{}", "sha256-{}", "({}),"])
def test_what_looks_like_a_card_number_inside_a_uuid_or_digest_is_left_alone(token: str, form: str) -> None:
    text = form.format(token)
    assert any(luhn(run) for run in re.findall(r"[2-6][0-9]{12,15}", token.replace("-", "")))
    assert mask(text) == text
    assert not holds_card_number(text)


@pytest.mark.parametrize("pan", PANS)
def test_a_card_number_beside_a_uuid_or_in_a_word_is_masked_all_the_same(pan: str) -> None:
    for text in (f"{OPAQUE[0]} {pan}", f"{pan}/{OPAQUE[0]}", f"card{pan}x", f"abc{pan}abc"):
        assert pan not in mask(text)
        assert holds_card_number(text)
