"""PayPal's events, read back: a delivery's signature covers no more of its body than a CRC-32."""

import base64
import re
from collections.abc import Collection

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import AnyEvent, ResourceChanged
from shared.providers.kit.envelope import of_poke
from shared.providers.kit.reading import parse, unreadable
from shared.providers.kit.signing import as_bytes
from shared.providers.paypal.webhook import EVENT_ID, EVENTS, NAME, STATUSES, told

API_HOSTS = frozenset({"api-m.paypal.com", "api-m.sandbox.paypal.com"})
_TOKEN = re.compile(r"[A-Za-z0-9._~+/\-]{1,4096}=*", flags=re.ASCII)  # RFC 6750 §2.1
_LONGEST_LIFE = 86_400.0


def token_request(api: ApiCredentials, *, livemode: bool) -> ApiRequest:
    basic = base64.b64encode(as_bytes(api.key)).decode("ascii")
    return ApiRequest(
        "POST",
        f"{base_url(api, livemode=livemode)}/v1/oauth2/token",
        {
            "Authorization": f"Basic {basic}",
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        b"grant_type=client_credentials",
    )


def read_token(body: bytes) -> tuple[str, float]:
    answer = parse(body)
    token, seconds = answer.raw("access_token"), answer.integer("expires_in")
    if type(token) is not str or not _TOKEN.fullmatch(token):
        raise unreadable("access_token", "no token", "unreadable_token")
    return token, min(max(float(seconds), 0.0), _LONGEST_LIFE)


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    if event.resource != EVENTS or not EVENT_ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an event of PayPal's", "unreadable_id")
    return ApiRequest(
        "GET",
        f"{base_url(api, livemode=event.livemode)}/v1/notifications/{EVENTS}/{event.resource_id}",
        {"Authorization": f"Bearer {api.key}", "Accept": "application/json"},
    )


def base_url(api: ApiCredentials, *, livemode: bool) -> str:
    return api.base_url or ("https://api-m.paypal.com" if livemode else "https://api-m.sandbox.paypal.com")


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    read = parse(body)
    if read.word("id") != event.resource_id:
        raise unreadable("id", "another object than was asked for", "another_object")
    return told(read, {**of_poke(event), "event_id": f"{NAME}:{event.account}:{event.resource_id}"})


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    EVENTS: {
        # Of captures, authorizations, refunds, orders and disputes; the delivery was compared with the rest.
        "resource.status": (
            *("COMPLETED", "DECLINED", "PARTIALLY_REFUNDED", "PENDING", "REFUNDED", "FAILED"),
            *("CREATED", "CAPTURED", "DENIED", "PARTIALLY_CAPTURED", "PARTIALLY_CREATED", "VOIDED", "EXPIRED"),
            *("CANCELLED", "SAVED", "APPROVED", "PAYER_ACTION_REQUIRED"),
            *(*STATUSES, "RESOLVED", "OTHER"),
        )
    }
}
