"""Apple: a customer's request for a refund, answered by what was consumed (App Store Server API).

| fact | value |
|---|---|
| order | one call, PUT /inApps/v2/transactions/consumption/{transactionId}, within 12 hours of the CONSUMPTION_REQUEST |
| consent | only where the customer has agreed that Apple is told: Apple refuses anything else, and asks not to be answered then. It is told by the packet's `consumption`; without that nothing is sent |
| what is told | `deliveryStatus`, `sampleContentProvided`, `consumptionPercentage` (0 where nothing was delivered; not of a subscription that renews itself), `refundPreference`: DECLINE for a submission, GRANT_FULL for an acceptance. Texts and files are not taken |
| the decision | is Apple's: REFUND or REFUND_DECLINED comes either way |
| read back | nothing tells whether it was answered. GET /inApps/v1/transactions/{transactionId} tells that the money went back (`revocationDate`): over; otherwise unknown |
| repeats | the same PUT of the same body says the same of the same transaction (RFC 9110 §9.2.2), so a repeat is the same request |
| key | `<issuer id> <key id> <bundle id> <private key>`: an In-App Purchase key of App Store Connect, the private key as it stands in its .p8 file, without its first and last line and in one line. It signs a token of 20 minutes (ES256; Apple takes 60) |
| refusals | 400 and 404 with `errorCode`, `errorMessage` |

Sources: Apple docs "Send Consumption Information", "ConsumptionRequest", "CONSUMPTION_REQUEST", "Get Transaction Info",
"Generating JSON Web Tokens for API requests"; its Python server library 3.1.2 (hosts, error codes).
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from shared.domain.answers import Act, Contest, Done, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Misconfigured
from shared.domain.evidence import Consumption
from shared.providers.apple.webhook import NAME as NAME
from shared.providers.kit.filing import fee_problems, first_open, harmless, json_body, nothing_else, taken
from shared.providers.kit.reading import parse, unreadable
from shared.providers.kit.signing import base64url
from shared.providers.kit.submitting import refused, words_of

API_HOSTS = frozenset({"api.storekit.apple.com", "api.storekit-sandbox.apple.com"})
TOKEN_LIVES = timedelta(minutes=20)
TELLS_USE = True
TAKES_EVIDENCE = False
WHOLE = 100_000

_TRANSACTION = re.compile(r"[0-9]{1,20}", flags=re.ASCII)
_KEY = re.compile(
    r"([0-9a-fA-F\-]{36}) ([A-Z0-9]{10}) ([A-Za-z0-9.\-]{1,155}) ([A-Za-z0-9+/]{40,400}={0,2})", flags=re.ASCII
)


def signed_token(api: ApiCredentials, now: datetime) -> str:
    """The token in the place of the configured key. Raises Misconfigured."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    found = _KEY.fullmatch(api.key)
    try:
        key = load_der_private_key(base64.b64decode(found[4], validate=True), None) if found else None
    except (ValueError, TypeError, binascii.Error):
        key = None
    if found is None or not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise Misconfigured(
            "API_APPLE's key signs nothing: set it to `<issuer id> <key id> <bundle id> <private key>`, the last of it what"
            " stands between the first and the last line of the .p8 file, in one line",
            reason="bad_secret",
        )
    issued = int(now.timestamp())
    head = {"alg": "ES256", "kid": found[2], "typ": "JWT"}
    claims = {
        "iss": found[1],
        "iat": issued,
        "exp": issued + int(TOKEN_LIVES.total_seconds()),
        "aud": "appstoreconnect-v1",
        "bid": found[3],
    }
    signed = ".".join(_segment(json.dumps(part).encode()) for part in (head, claims))
    first, second = decode_dss_signature(key.sign(signed.encode("ascii"), ECDSA(SHA256())))
    return f"{signed}.{_segment(first.to_bytes(32) + second.to_bytes(32))}"


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    yield from fee_problems(contest)
    if contest.contested not in (None, contest.amount):
        yield "Apple takes no preference for a part that we name"
    told = contest.packet.consumption if contest.packet else None
    if told is None:
        yield "nothing says that it was delivered, or what was offered before the purchase, which Apple wants to know"
        return
    if not told.consented:
        yield "nothing says that the customer agreed: without consent Apple is told nothing"
    if told.share is not None and not 0 <= told.share <= WHOLE:
        yield f"a share of {told.share} is none of {WHOLE}"
    if told.share and not told.delivered:
        yield "what was not delivered was not used either: Apple takes a share of 0 with it"


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request("GET", "v1/transactions", contest, api)


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    if answer.status != 200:
        return Standing.UNKNOWN
    jws = parse(answer.body).raw("signedTransactionInfo")
    parts = jws.split(".") if type(jws) is str else []
    # Nobody but Apple answers at this address: what it signs beside that is not proved again.
    inside = base64url(parts[1]) if len(parts) == 3 else None
    transaction = parse(inside or b"")
    if transaction.raw("transactionId") != contest.answer_id:
        raise unreadable("transactionId", "another transaction than was asked for", "another_object")
    return Standing.OVER if transaction.raw("revocationDate") is not None else Standing.UNKNOWN


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, api), done)


def _steps(contest: Contest, api: ApiCredentials) -> Iterator[Step]:
    told = contest.packet.consumption if contest.packet else None
    if told is None or not told.consented:
        raise unreadable("packet.consumption", "no consent", "no_consent")
    body = json_body(_consumption(contest, told))
    request = _request("PUT", "v2/transactions/consumption", contest, api, body)
    yield Step(name="consumption", request=request, final=True, keyed=True)


def _consumption(contest: Contest, told: Consumption) -> dict[str, Any]:
    body: dict[str, Any] = {
        "customerConsented": told.consented,
        "sampleContentProvided": told.sampled,
        "deliveryStatus": "DELIVERED" if told.delivered else "UNDELIVERED_OTHER",
        "refundPreference": "DECLINE" if contest.act is Act.SUBMIT else "GRANT_FULL",
    }
    if told.share is not None:
        body["consumptionPercentage"] = told.share
    return body


def _request(method: str, path: str, contest: Contest, api: ApiCredentials, body: bytes = b"") -> ApiRequest:
    own = "https://api.storekit.apple.com" if contest.livemode else "https://api.storekit-sandbox.apple.com"
    transaction = harmless(_TRANSACTION, contest.answer_id, "answer_id", "a transaction of Apple")
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    if body:
        headers["Content-Type"] = "application/json"
    return ApiRequest(method, f"{api.base_url or own}/inApps/{path}/{transaction}", headers, body)


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if not taken(answer):
        body = words_of(answer)
        return refused(body.raw("errorCode") or answer.status, body.raw("errorMessage"))
    nothing_else(answer)
    return Done(value=contest.answer_id)
