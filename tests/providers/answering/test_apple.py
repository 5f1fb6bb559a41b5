"""Apple: what is special to how a request for a refund is answered."""

import base64
import warnings
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from appstoreserverlibrary.api_client import APIException, AppStoreServerAPIClient
from appstoreserverlibrary.models.ConsumptionRequest import ConsumptionRequest
from appstoreserverlibrary.models.DeliveryStatus import DeliveryStatus
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.RefundPreference import RefundPreference
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given

from shared.domain.answers import Act, Done, Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Misconfigured, Unreadable
from shared.domain.evidence import Consumption
from shared.providers.apple import answer
from tests.providers.answering.driving import NOW, a_contest, a_packet, drive, send, standing
from tests.providers.answering.garbage import FUZZ, answers, holds
from tests.simulator.answering.apple import BUNDLE, ISSUER, KEY, KEY_ID, PRIVATE_KEY, AppleDesk
from tests.simulator.answering.forms import object_in
from tests.simulator.desks import open_desk

TOLD = Consumption(consented=True, delivered=True, sampled=False)
CONTEST = a_contest("2000000123456789", packet=a_packet(consumption=TOLD), account=BUNDLE)


def credentials(url: str) -> ApiCredentials:
    return ApiCredentials(answer.signed_token(ApiCredentials(KEY), NOW), url)


def telling(**changes: Any) -> Any:
    return replace(CONTEST, packet=a_packet(consumption=replace(TOLD, **changes)))


def test_what_was_consumed_is_told_and_a_repeat_is_the_same() -> None:
    desk = AppleDesk()
    desk.open(CONTEST)
    with open_desk(desk, NOW) as running:
        api = credentials(running.url)
        step = answer.next_step(CONTEST, {}, api)
        assert step is not None
        assert (step.final, step.keyed) == (True, True)
        assert answer.read_step(CONTEST, step, send(step.request)) == Done(value=CONTEST.answer_id)
        assert drive(answer, CONTEST, api).refused is None
        assert standing(answer, CONTEST, api) is Standing.UNKNOWN
        desk.refund(CONTEST.answer_id)
        assert standing(answer, CONTEST, api) is Standing.OVER
    (taken,) = desk.taken
    assert taken.told == {
        "customerConsented": "True",
        "sampleContentProvided": "False",
        "deliveryStatus": "DELIVERED",
        "refundPreference": "DECLINE",
    }


def test_without_consent_nothing_is_sent_whatever_else_is_known() -> None:
    for packet, why in ((a_packet(), "delivered"), (a_packet(consumption=replace(TOLD, consented=False)), "agreed")):
        contest = replace(CONTEST, packet=packet)
        [problem] = answer.problems(contest)
        assert why in problem
        with pytest.raises(Unreadable):
            answer.next_step(contest, {}, ApiCredentials(KEY))


def test_an_acceptance_prefers_that_all_is_given_back() -> None:
    desk, contest = AppleDesk(), replace(CONTEST, act=Act.ACCEPT)
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        assert drive(answer, contest, credentials(running.url)).refused is None
    assert desk.taken[0].act is Act.ACCEPT


@pytest.mark.parametrize(
    ("contest", "code"),
    [
        (telling(share=100_001), "4000049"),
        (telling(share=-1), "4000049"),
        (telling(share=5, delivered=False), "4000050"),
    ],
)
def test_what_apple_refuses_is_known_before_and_not_taken(contest: Any, code: str) -> None:
    desk = AppleDesk()
    desk.open(contest)
    with open_desk(desk, NOW) as running:
        refused = drive(answer, contest, credentials(running.url)).refused
    assert refused is not None
    assert refused.code == code
    assert not desk.taken
    assert answer.problems(contest)


def test_a_share_and_a_failed_delivery_are_told() -> None:
    for contest in (telling(share=45_200), telling(delivered=False), telling(delivered=False, share=0)):
        desk = AppleDesk()
        desk.open(contest)
        assert answer.problems(contest) == ()
        with open_desk(desk, NOW) as running:
            assert drive(answer, contest, credentials(running.url)).refused is None


def test_another_key_an_old_token_and_an_unknown_transaction_are_refused() -> None:
    with open_desk(AppleDesk(), NOW) as running:
        for wrong in (
            "a-key",
            answer.signed_token(ApiCredentials(KEY), NOW - timedelta(minutes=21)),
            answer.signed_token(ApiCredentials(KEY.replace(BUNDLE, "com.example.other")), NOW),
        ):
            assert drive(answer, CONTEST, ApiCredentials(wrong, running.url)).refused == Refused(code="401")
        unknown = drive(answer, CONTEST, credentials(running.url)).refused
    assert unknown == Refused(code="4040010", told="Transaction id not found.")


def test_the_official_library_tells_the_same_and_signs_the_same_claims() -> None:
    pem = PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    contest = telling(share=45_200, sampled=True)
    desk = AppleDesk()
    desk.open(contest)
    with open_desk(desk) as running:
        client = AppStoreServerAPIClient(pem, KEY_ID, ISSUER, BUNDLE, Environment.SANDBOX)
        assert client._base_url == "https://api.storekit-sandbox.apple.com"
        client._base_url = running.url
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client.send_consumption_information(
                contest.answer_id,
                ConsumptionRequest(
                    customerConsented=True,
                    sampleContentProvided=True,
                    deliveryStatus=DeliveryStatus.DELIVERED,
                    consumptionPercentage=45_200,
                    refundPreference=RefundPreference.DECLINE,
                ),
            )
            with pytest.raises(APIException, match="4040010"):
                client.send_consumption_information("1", ConsumptionRequest(True, True, DeliveryStatus.DELIVERED))
    ours = answer.next_step(contest, {}, ApiCredentials(answer.signed_token(ApiCredentials(KEY), NOW), running.url))
    assert ours is not None
    theirs = running.calls[0]
    assert ours.request.url == running.url + theirs.path
    assert ours.request.method == theirs.method
    assert object_in(replace(theirs, body=ours.request.body)) == object_in(theirs)
    mine, other = (
        jwt.decode(text.removeprefix("Bearer "), options={"verify_signature": False})
        for text in (ours.request.headers["Authorization"], theirs.headers["authorization"])
    )
    assert {name: mine[name] for name in ("iss", "aud", "bid")} == {name: other[name] for name in ("iss", "aud", "bid")}


def _der(key: Any) -> str:
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a-key",
        KEY.rpartition(" ")[0],
        KEY[:-8],
        KEY.replace(KEY_ID, "short"),
        f"{ISSUER} {KEY_ID} {BUNDLE} " + _der(ec.derive_private_key(1, ec.SECP384R1())),
        f"{ISSUER} {KEY_ID} {BUNDLE} " + _der(ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_a_key_that_signs_nothing_is_for_an_operator_and_not_told(key: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        answer.signed_token(ApiCredentials(key), NOW)
    assert KEY[-60:-40] not in str(raised.value)


@pytest.mark.parametrize("own", ["", "1/../2", "1?x", "GPA.1", "1" * 21, "١٢"])
def test_an_id_that_is_no_transaction_reaches_no_address(own: str) -> None:
    with pytest.raises(Unreadable):
        answer.standing_request(replace(CONTEST, answer_id=own), ApiCredentials("t"))
    with pytest.raises(Unreadable):
        answer.next_step(replace(CONTEST, answer_id=own), {}, ApiCredentials("t"))


def test_live_and_test_data_have_hosts_of_their_own() -> None:
    urls = [answer.standing_request(replace(CONTEST, livemode=live), ApiCredentials("t")).url for live in (True, False)]
    assert [url.split("/")[2] for url in urls] == ["api.storekit.apple.com", "api.storekit-sandbox.apple.com"]


@FUZZ
@given(answers("errorCode", "errorMessage", "signedTransactionInfo"))
def test_no_answer_brings_it_down(garbage: ApiAnswer) -> None:
    holds(answer, CONTEST, [answer.next_step(CONTEST, {}, ApiCredentials("t"))], garbage)
