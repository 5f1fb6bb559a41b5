"""What is kept of a decision: whole in the warehouse, packed in its document."""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.domain.codec import decode, encode, to_document
from shared.domain.decisions import Decision, HistoryState, Outcome
from shared.domain.errors import Unreadable
from shared.domain.events import Initiator, PaymentAssessed, PaymentChanged, PaymentStep
from shared.flows.ports import Document
from shared.fraud.claims import Claims
from shared.fraud.features import Entity
from shared.fraud.history import instant
from shared.fraud.policy import DEFAULT_THRESHOLDS

PACKED: Final = "decision"
"""The member of a document that holds a decision, and by which it is known from one that only leads to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """An attempt with a card that nobody had seen before, by somebody who was there: what attacks are made of, and renewals
    never are. account: six hexadecimal digits for whose it is, a third of a name's bytes; rows of
    before have none. address: the network that is counted as one. refused: by the card's issuer, or by us. doubted: challenged or
    sent to review because a rule or the score says fraud, and nobody has let it through since; told only where it is so, for
    each byte of each message is paid for."""

    card: str
    bin: str | None
    device: str | None
    address: str | None
    refused: bool
    doubted: bool = False
    account: str | None = None


_UNCLAIMED: Final = Claims()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow(Decision):
    """A message of `fraud-decisions` and a row of `fraud_decisions`: a decision, with three things more.

    sample: the first two digits of the hash of the decision's event's id, by which training reads a part of all payments
    and nothing of the others. newcomer: null of nine payments in ten, which costs nothing to read past: what `monitor_model`
    watches for attacks. What is claimed of its payment: since when it counts as fraud (null: it does not), as of the
    `claims_revision`th word on that, and by which names (`claimed_as`): labels are filed under one of them.
    """

    sample: str
    newcomer: Newcomer | None
    claims_revision: int
    fraud_reported_at: datetime | None
    claimed_as: tuple[str, ...]


_MEMBERS: Final = tuple(member.name for member in fields(Decision))


def row_of(decision: Decision, event: PaymentChanged | PaymentAssessed | None, claims: Claims = _UNCLAIMED) -> bytes:
    """JSON of the `DecisionRow` that is published on hearing of `event`, None where that is no attempt at paying."""
    digest = hashlib.md5(decision.event_id.encode(), usedforsecurity=False).hexdigest()
    known_at = claims.known_at
    row = DecisionRow(
        **{name: getattr(decision, name) for name in _MEMBERS},
        sample=digest[:2],
        newcomer=_newcomer(decision, event) if event else None,
        claims_revision=claims.revision,
        fraud_reported_at=None if known_at is None else instant(known_at),
        claimed_as=claims.names,
    )
    if row.newcomer is None or row.newcomer.doubted:
        return encode(row)
    told = msgspec.to_builtins(row)
    del told["newcomer"]["doubted"]
    return encode(told)


def _newcomer(decision: Decision, event: PaymentChanged | PaymentAssessed) -> Newcomer | None:
    known = {one.entity: one for one in decision.history}
    card = known.get(Entity.CARD)
    if card is None or card.value is None or card.state is not HistoryState.NEW:
        return None
    if Initiator.MERCHANT in (decision.initiator, event.initiator):
        return None
    device, address = (one.value if (one := known.get(entity)) else None for entity in (Entity.DEVICE, Entity.IP))
    refused = getattr(event, "step", None) is PaymentStep.DECLINED or decision.outcome is Outcome.DECLINE
    number = event.card.bin if event.card else None
    doubted = not refused and _doubted(decision)
    return Newcomer(
        card=card.value,
        bin=number,
        device=device,
        address=address,
        refused=refused,
        doubted=doubted,
        account=_of_account(decision.provider, decision.account),
    )


def _of_account(provider: str, account: str) -> str:
    return hashlib.md5(f"{provider}:{account}".encode(), usedforsecurity=False).hexdigest()[:6]


def _doubted(decision: Decision) -> bool:
    """Whether a newcomer is stopped where testers are. Whose issuer agreed is not: the cardholder authenticated, a person
    released it, or it was judged after, where a review stops nobody and no later row would tell of its release."""
    if decision.outcome not in (Outcome.CHALLENGE, Outcome.REVIEW) or decision.step in _AGREED:
        return False
    # Not for what is policy alone: thresholds that are low because everybody is to authenticate, an unknown history.
    by_rule = any(reason.source == "rule" for reason in decision.reasons)
    return by_rule or (decision.score is not None and decision.score >= DEFAULT_THRESHOLDS.challenge)


_AGREED: Final = (PaymentStep.AUTHORIZED, PaymentStep.CAPTURED)


def stored(decision: Decision) -> Document:
    """The document. Nine tenths of a decision are names that every other one has too, and each document, in each backup of
    it, is paid for by the byte: it is a quarter of its size. People read decisions in the warehouse."""
    compressed = zlib.compressobj(zdict=_ALIKE)
    said = {
        name: value for name, value in to_document(decision).items() if name not in _ADDED or value not in (None, [])
    }
    packed = compressed.compress(encode(said)) + compressed.flush()
    return {PACKED: base64.b64encode(packed).decode("ascii")}


def without_person(decision: Decision) -> Decision:
    """`decision` with nothing that says whose payment it was on: numbers, reasons and outcome are as they were."""
    return replace(decision, history=tuple(replace(one, value=None) for one in decision.history))


def of_stored(document: Mapping[str, Any]) -> Decision:
    """The decision in a document. Raises Unreadable for one that is damaged."""
    unpacked = zlib.decompressobj(zdict=_ALIKE)
    try:
        data = unpacked.decompress(base64.b64decode(document[PACKED], validate=True)) + unpacked.flush()
    except (ValueError, zlib.error) as error:  # not ASCII, not base64, not whole
        raise Unreadable("not a packed decision", reason="malformed_document") from error
    return decode(data, Decision)


# Members since the first release, which has no words for them: what says nothing is not written, and read as its default.
_ADDED: Final = (
    *("book_revision", "country", "initiator", "listed", "shadow", "propensity", "explored"),
    *("request_id", "request_digest", "without_history", "linked_event_id"),
    *("product", "sca_exemption"),
    *("challenger", "challenger_score"),
    *("network", "step"),
)

# Never to be changed: what is stored is read by these very bytes, and by no others. Names that are added to the vector
# later need not be here, and those that leave it may stay.
_NAMES: Final = [
    "amount",
    "hour_of_day",
    "weekday",
    "merchant_initiated",
    "three_d_secure_passed",
    "three_d_secure_failed",
    "cvv_mismatch",
    "avs_mismatch",
    "prepaid_card",
    "free_mail",
    "reported_stolen",
    "country_mismatch",
    "provider_score",
    "card_payments_1h",
    "card_payments_24h",
    "card_payments_7d",
    "card_payments_30d",
    "card_declined_1h",
    "card_declined_24h",
    "card_declined_7d",
    "card_small_24h",
    "card_amount_24h",
    "card_amount_7d",
    "card_new_customers_30d",
    "card_new_devices_24h",
    "card_new_devices_7d",
    "card_frauds_30d",
    "card_frauds_ever",
    "customer_payments_1h",
    "customer_payments_24h",
    "customer_payments_7d",
    "customer_payments_30d",
    "customer_declined_24h",
    "customer_declined_7d",
    "customer_amount_24h",
    "customer_amount_30d",
    "customer_new_cards_24h",
    "customer_new_cards_30d",
    "customer_new_devices_7d",
    "customer_new_ips_24h",
    "customer_frauds_ever",
    "device_payments_1h",
    "device_payments_24h",
    "device_payments_7d",
    "device_declined_1h",
    "device_declined_24h",
    "device_small_24h",
    "device_new_cards_1h",
    "device_new_cards_24h",
    "device_new_cards_30d",
    "device_new_customers_24h",
    "device_new_customers_30d",
    "device_frauds_7d",
    "device_frauds_30d",
    "ip_payments_1h",
    "ip_payments_24h",
    "ip_payments_7d",
    "ip_declined_1h",
    "ip_declined_24h",
    "ip_new_cards_1h",
    "ip_new_cards_24h",
    "ip_new_customers_24h",
    "ip_frauds_7d",
    "ip_frauds_30d",
    "email_domain_payments_1h",
    "email_domain_payments_24h",
    "email_domain_payments_30d",
    "email_domain_frauds_30d",
    "card_declined_share_7d",
    "ip_fraud_share_30d",
    "device_fraud_share_7d",
    "device_fraud_share_30d",
    "email_domain_declined_share_24h",
    "email_domain_fraud_share_30d",
    "amount_over_customer_mean",
    "amount_deviation_of_customer",
    "amount_over_card_mean",
    "since_first_of_card",
    "since_first_of_customer",
    "since_first_of_device",
    "since_first_of_ip",
    "since_first_of_email_domain",
    "since_last_of_card",
    "since_last_of_customer",
    "since_last_of_device",
    "new_card_of_customer",
    "new_device_of_customer",
    "new_ip_of_customer",
    "new_device_of_card",
    "new_ip_of_card",
]
_ALIKE: Final = (
    '{"account":"acct_","amount":{"currency":"EUR","minor":999},"decided_at":"2026-01-01T00:00:00.000000Z","event_id":"'
    'stripe:acct_:evt_","fallback":null,"features":['
    + ",".join(f'{{"name":"{name}","value":0.0}}' for name in _NAMES)
    + '],"history":[{"entity":"card","last_seen_at":"2026-01-01T00:00:00.000000Z","state":"known","value":"'
    '"},{"entity":"customer","last_seen_at":null,"state":"new","value":"cus_"},{"entity":"device","last_seen_at":"2026-'
    '"},{"entity":"ip","last_seen_at":"2026-"},{"entity":"email_domain","last_seen_at":null,"state":"shared","value":"'
    'gmail.com"}],"livemode":true,"model_digest":"","occurred_at":"2026-01-01T00:00:00Z","outcome":"approve","payment_'
    'id":"pi_","policy_version":"40f37201415b664d","provider":"stripe","raw_score":-5.0,"reasons":[{"code":"card_'
    'payments_24h","source":"model","weight":0.0},{"code":"'
    '","source":"rule","weight":null}],"rules_version":"0af3b4569ac0af61","schema_version":"cec8d9eb67a3aa94","score":0.0}'
).encode()
