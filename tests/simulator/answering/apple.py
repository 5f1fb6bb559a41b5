"""Apple's App Store Server API: what was consumed, told within 12 hours, and the transaction read back."""

import base64
import json
import re
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.domain.answers import Act, Contest
from shared.domain.events import DisputeStage
from shared.domain.evidence import Consumption
from tests.simulator.answering import Tells, a_contest, a_packet
from tests.simulator.answering.forms import Case, object_in, reply_json
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

_CONSUMPTION = re.compile(r"/inApps/v2/transactions/consumption/([0-9]+)")
_TRANSACTION = re.compile(r"/inApps/v1/transactions/([0-9]+)")
_DELIVERY = ("DELIVERED", *(f"UNDELIVERED_{why}" for why in ("QUALITY_ISSUE", "WRONG_ITEM", "SERVER_OUTAGE", "OTHER")))
ISSUER, KEY_ID, BUNDLE = "57246542-96fe-1a63-e053-0824d011072a", "2X9R4HXF34", "com.example.films"
PRIVATE_KEY = ec.derive_private_key(4711, ec.SECP256R1())
KEY = f"{ISSUER} {KEY_ID} {BUNDLE} " + base64.b64encode(
    PRIVATE_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
).decode("ascii")


def _error(code: int, message: str) -> ApiReply:
    return reply_json(code // 10_000, {"errorCode": code, "errorMessage": message})


class AppleDesk:
    """Whoever is late is told 202 like everybody else, and not heard. The numbers of the newer refusals (of a share, of a
    preference) are ours: the library that lists the others has none of them."""

    NAME = "apple"

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.cases: dict[str, Case] = {}

    def open(self, contest: Contest) -> None:
        self.cases[contest.answer_id] = Case(contest, "asked")

    def refund(self, transaction_id: str) -> None:
        self.cases[transaction_id].status = "refunded"

    def reply(self, call: ApiCall) -> ApiReply:
        if not self._proved(call):
            return ApiReply(401, b"Unauthenticated\n")
        if call.method == "PUT" and (found := _CONSUMPTION.fullmatch(call.path)):
            return self._consumed(found[1], call)
        if call.method == "GET" and (found := _TRANSACTION.fullmatch(call.path)):
            case = self.cases.get(found[1])
            return self._transaction(found[1], case) if case else _error(4040010, "Transaction id not found.")
        return ApiReply(404)

    def _proved(self, call: ApiCall) -> bool:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            # Its times are held against the desk's clock, which may stand still.
            options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iss", "bid"]}
            public, aud = PRIVATE_KEY.public_key(), "appstoreconnect-v1"
            told = jwt.decode(token, public, ["ES256"], options, audience=aud, issuer=ISSUER)
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            return False
        left = told["exp"] - call.at.timestamp()
        return kid == KEY_ID and told["bid"] == BUNDLE and 0 < left <= 3600

    def _transaction(self, own: str, case: Case) -> ApiReply:
        told: dict[str, Any] = {"transactionId": own, "bundleId": BUNDLE}
        if case.status == "refunded":
            told |= {"revocationDate": 1795780800000, "revocationReason": 0}
        parts = (json.dumps(part).encode() for part in ({"alg": "ES256"}, told))
        jws = ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])
        return reply_json(200, {"signedTransactionInfo": jws})

    def _consumed(self, own: str, call: ApiCall) -> ApiReply:
        told = object_in(call) or {}
        case, share = self.cases.get(own), told.get("consumptionPercentage", 0)
        if case is None:
            return _error(4040010, "Transaction id not found.")
        if told.get("customerConsented") is not True:
            return _error(4000035, "Invalid request. The customer consented field is invalid or not true.")
        if told.get("deliveryStatus") not in _DELIVERY:
            return _error(4000036, "Invalid request. The delivery status field is invalid.")
        if type(told.get("sampleContentProvided")) is not bool:
            return _error(4000041, "Invalid request. The sample content provided field is invalid.")
        if told.get("refundPreference", "DECLINE") not in ("DECLINE", "GRANT_FULL", "GRANT_PRORATED"):
            return _error(4000044, "Invalid request. The refund preference field is invalid.")
        if type(share) is not int or not 0 <= share <= 100_000:
            return _error(4000049, "Invalid request. The consumption percentage is out of range.")
        if share and told["deliveryStatus"] != "DELIVERED":
            return _error(4000050, "Invalid request. The consumption percentage of what was not delivered is 0.")
        if not case.late(call) and case.draft != told:
            case.draft = told
            act = Act.ACCEPT if told.get("refundPreference") == "GRANT_FULL" else Act.SUBMIT
            self.taken.append(case.answered(act, call, {name: str(value) for name, value in told.items()}))
        return ApiReply(202)


WITHIN = timedelta(hours=12)
DESK = AppleDesk
EXAMPLE = a_contest(
    "2000000123456789",
    account=BUNDLE,
    stage=DisputeStage.INQUIRY,
    network=None,
    packet=a_packet(texts={}, documents=(), consumption=Consumption(consented=True, delivered=True, sampled=False)),
)
TELLS = Tells.NOTHING
