"""A canary is ours, of lately and of one provider, or it is none."""

import hmac
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.canaries import FRESH, HEADER, CanaryKeys, Proved, derived, prove, sign
from shared.domain.delivery import Delivery
from shared.domain.errors import SignatureInvalid
from shared.domain.pseudonyms import Keyring
from tests.builders import NOON

RING = Keyring({"1": b"a" * 32, "2": b"b" * 32}, "2")
KEYS = derived(RING)
BODY = b'{"canary": "x"}'
MILLISECOND = timedelta(milliseconds=1)


def a_canary(keys: CanaryKeys = KEYS, body: bytes = BODY, provider: str = "stripe") -> Delivery:
    return Delivery(provider, body, {HEADER: sign(keys, provider, body, NOON)}, NOON)


def refused(delivery: Delivery, keys: CanaryKeys = KEYS) -> str:
    with pytest.raises(SignatureInvalid) as error:
        prove(keys, delivery)
    return error.value.reason


def test_a_canary_says_when_it_was_sent_and_by_which_key_it_is_proved() -> None:
    proved = prove(KEYS, a_canary())
    assert (proved.sent_at, proved.key_id) == (NOON, "2")
    assert prove(KEYS, a_canary()) == proved
    assert prove(KEYS, a_canary(body=b"")) != proved


def test_while_keys_are_rotated_canaries_of_both_are_taken() -> None:
    before = derived(Keyring({"1": b"a" * 32}, "1"))
    assert prove(KEYS, a_canary(before)).key_id == "1"
    assert refused(a_canary(), before) == "canary_mismatch"


def test_the_keys_of_pseudonyms_sign_no_canary() -> None:
    assert refused(a_canary(CanaryKeys(RING.keys, "2"))) == "canary_mismatch"
    assert KEYS.keys["1"] != KEYS.keys["2"]


def test_an_empty_key_proves_nothing() -> None:
    empty = CanaryKeys({"1": b""}, "1")
    assert refused(a_canary(empty), empty) == "canary_mismatch"
    assert refused(a_canary(CanaryKeys({"9": b""}, "9"))) == "canary_mismatch"


@pytest.mark.parametrize("way", [1, -1])
def test_a_canary_of_another_time_is_refused(way: int) -> None:
    assert isinstance(prove(KEYS, replace(a_canary(), received_at=NOON + way * FRESH)), Proved)
    assert refused(replace(a_canary(), received_at=NOON + way * (FRESH + MILLISECOND))) == "canary_stale"


@given(at=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_no_byte_of_its_body_can_be_changed(at: int, bit: int) -> None:
    changed = bytearray(BODY)
    changed[at] ^= 1 << bit
    assert refused(replace(a_canary(), body=bytes(changed))) == "canary_mismatch"


@given(st.data())
def test_no_character_of_its_header_can_be_changed(data: st.DataObject) -> None:
    header = a_canary().headers[HEADER]
    at = data.draw(st.integers(0, len(header) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != header[at]))
    changed = header[:at] + other + header[at + 1 :]
    assert refused(replace(a_canary(), headers={HEADER: changed})) in ("canary_mismatch", "malformed_canary")


def test_a_canary_of_one_provider_is_none_of_another() -> None:
    assert refused(replace(a_canary(), provider="adyen")) == "canary_mismatch"


@given(st.text(max_size=300))
def test_whatever_the_header_holds_it_is_refused_and_nothing_breaks(text: str) -> None:
    assert refused(replace(a_canary(), headers={HEADER: text})) in ("canary_mismatch", "malformed_canary")


def test_a_number_that_is_in_no_calendar_is_of_another_time() -> None:
    digits = "9" * 15
    message = b"\n".join((b"pay-in canary", b"stripe", b"2", digits.encode(), BODY))
    signed = hmac.new(KEYS.keys["2"], message, "sha256").hexdigest()
    assert refused(replace(a_canary(), headers={HEADER: f"v1 2 {digits} {signed}"})) == "canary_stale"
