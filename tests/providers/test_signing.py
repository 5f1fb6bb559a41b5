"""What all adapters compare signatures with, at its boundaries."""

import base64
import hashlib
import hmac

import pytest

from shared.domain.delivery import Credentials, Delivery
from shared.domain.errors import Misconfigured, SignatureInvalid
from shared.providers.kit import signing
from tests.providers.kits import NOON

KEY = "a-key-of-16-or-more"
BODY = b'{"id": 1}'
DIGEST = hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()


def a_delivery(signature: str) -> Delivery:
    return Delivery(provider="stripe", received_at=NOON, body=BODY, headers={"x-signature": signature})


def credentials(**keys: str) -> Credentials:
    return Credentials(keys=keys)


def test_a_header_is_stripped_and_one_longer_than_any_real_one_is_none() -> None:
    assert signing.header({"x": " a "}, "x") == "a"
    assert signing.header({"x": "a" * 8192}, "x") == "a" * 8192
    assert signing.header({"x": "a" * 8193}, "x") == ""
    assert signing.header({}, "x") == ""


@pytest.mark.parametrize(
    ("secret", "fits"),
    [
        ("k" * 16, True),
        ("k" * 15, False),
        ("k" * 15 + "é", False),
        ("k" * 15 + "\n", False),
        ("k" * 8 + " " + "k" * 8, False),
    ],
)
def test_a_key_is_sixteen_printable_characters_or_more_without_a_space(secret: str, fits: bool) -> None:
    assert signing.is_text_key(secret) is fits
    if fits:
        signing.check_text_keys("stripe", credentials(current=secret), "is wrong")
        return
    with pytest.raises(Misconfigured, match=r"WEBHOOK_STRIPE key 'next' is wrong") as error:
        signing.check_text_keys("stripe", credentials(current="k" * 16, next=secret), "is wrong")
    assert error.value.reason == "bad_secret"
    assert secret not in str(error.value)


def test_the_key_whose_digest_a_header_holds_in_either_case_is_named() -> None:
    keys = credentials(other="another-key-of-ours", current=KEY)
    for offered in (DIGEST, DIGEST.upper()):
        assert signing.verified_body(a_delivery(offered), keys, "x-signature").key_ids == ("current",)


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        ("", "missing_signature"),
        (DIGEST[:-1], "signature_mismatch"),
        (DIGEST + "0", "signature_mismatch"),
        ("\udc80", "signature_mismatch"),
    ],
)
def test_any_other_header_is_refused_with_its_reason(offered: str, reason: str) -> None:
    with pytest.raises(SignatureInvalid) as error:
        signing.verified_body(a_delivery(offered), credentials(current=KEY), "x-signature")
    assert error.value.reason == reason
    assert str(error.value) == ("no x-signature" if reason == "missing_signature" else "no signature matches")


def test_of_several_keys_that_match_the_first_is_named_and_an_empty_one_never_matches() -> None:
    by_nothing = hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    same = {"first": KEY.encode(), "second": KEY.encode()}
    assert signing.matching_key(same, BODY, ["no", DIGEST], signing.hex_text) == "first"
    assert signing.matching_key({"empty": b""}, BODY, [by_nothing], signing.hex_text) is None
    assert (
        signing.matching_key({"empty": b"", "ours": KEY.encode()}, BODY, [by_nothing, DIGEST], signing.hex_text)
        == "ours"
    )
    assert signing.matching_key({}, BODY, [DIGEST], signing.hex_text) is None
    assert signing.matching_key(same, BODY, [], signing.hex_text) is None


def test_a_digest_is_by_the_function_that_the_scheme_names() -> None:
    longer = hmac.new(KEY.encode(), BODY, hashlib.sha512).hexdigest()
    assert signing.matching_key({"k": KEY.encode()}, BODY, [longer], signing.hex_text, "sha512") == "k"
    assert signing.matching_key({"k": KEY.encode()}, BODY, [longer], signing.hex_text) is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", b""),
        ("_-8", b"\xff\xef"),
        ("AAAX", b"\x00\x00\x17"),
        ("_-9", None),  # the same bytes with a bit that nobody uses
        ("_-8=", None),
        ("/+8", None),
        ("_", None),
        ("_-8 ", None),
        ("é", None),
        ("\udc80", None),
    ],
)
def test_base64url_is_read_in_its_one_spelling(text: str, read: bytes | None) -> None:
    assert signing.base64url(text) == read


def basic(text: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        (basic("ana:secret"), True),
        (basic("ana:secret", "bAsIc"), True),
        (basic("ana:secret") + " ", True),
        (basic("ben:word:with:colons"), True),
        (basic("ana:secret", "Bearer"), False),
        (basic("ana:word:with:colons"), False),
        (basic("ana:secret "), False),
        (basic("ana:"), False),
        (basic(":"), False),
        (basic("eve:"), False),
        (basic(":password"), False),
        ("Basic", False),
        ("Basic *", False),
        ("Basic Y*W5hOnNlY3JldA==", False),
        ("", False),
        ("\udc80", False),
    ],
)
def test_basic_authentication_is_one_of_our_users_with_the_password_of_that_one(value: str, matches: bool) -> None:
    users = {"ana": "secret", "ben": "word:with:colons", "eve": "", "": "password"}
    assert signing.basic_auth_matches(value, users) is matches
    assert signing.basic_auth_matches(value, {}) is False
