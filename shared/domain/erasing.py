"""What erasing a person does with everything that is kept: the rule for each collection of documents and each column of rows.

Documents are changed when the person asks, and their events, by which features of the past are computed, in one rewriting for
all who asked in BATCH. Nothing that runs reads what else names a person in rows (a delivery's bytes, whom a decision knew) once
the day is FRESH past: it leaves every day's rows then, whoever's they are. The key that is thrown away is the day's, and with the bytes goes
most of what it costs to keep them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

FRESH: Final = timedelta(days=28)
"""Less than the month within which a person is answered (GDPR Article 12(3))."""
BATCH: Final = timedelta(days=25)
"""A partition is rewritten as a whole and paid for as one: so long a request waits for others, and is within the month."""
SETTLED: Final = FRESH + timedelta(days=7)
"""After a request: what was on its way then has come (Pub/Sub keeps messages for a week), and lies in rows without names."""


RAW: Final = timedelta(days=180)
"""So long bytes stay that nobody could read: as `functions/retention.json` has it of raw bytes."""


class Fate(StrEnum):
    """What becomes of a document of the person's."""

    REMOVED = "removed"
    UNLINKED = "unlinked"  # it stays, and says nothing any more of whose it is
    KEPT = "kept"  # as it is: it never names a person, or a law or a claim wants it
    EXPIRES = "expires"  # by itself, soon


@dataclass(frozen=True, slots=True)
class Rule:
    fate: Fate
    ground: str


_ACCOUNTS = "a financial record: GDPR Article 17(3)(b), the laws on bookkeeping and taxes"
_CLAIMS = "for legal claims: GDPR Article 17(3)(e)"
_NOBODY = "it names no customer"

COLLECTIONS: Final[Mapping[str, Rule]] = {
    "payments": Rule(Fate.UNLINKED, f"amount, state, order and what the card is like stay, {_ACCOUNTS}"),
    "payment_aliases": Rule(Fate.KEPT, f"other names of a payment, {_ACCOUNTS}"),
    "decisions": Rule(Fate.UNLINKED, "numbers, reasons and outcome stay: a decision has to be accounted for"),
    "feature_state": Rule(
        Fate.REMOVED, "it goes whole; what others use too stays theirs; of what is listed the entry stays"
    ),
    "known_frauds": Rule(Fate.KEPT, f"fraud that was claimed of a payment, {_CLAIMS}; {_NOBODY}"),
    "fraud_claims": Rule(Fate.KEPT, f"fraud that was claimed in a dispute, {_CLAIMS}; {_NOBODY}"),
    "registry": Rule(Fate.KEPT, _NOBODY),
    "rule_books": Rule(Fate.KEPT, _NOBODY),
    "strategies": Rule(Fate.KEPT, _NOBODY),
    "lists": Rule(Fate.REMOVED, "while an entry holds it stays, to prevent fraud: GDPR Article 6(1)(f), recital 47"),
    "disputes": Rule(Fate.KEPT, f"{_CLAIMS}; {_NOBODY}"),
    "cases": Rule(Fate.KEPT, f"{_CLAIMS}; {_NOBODY}"),
    "assessments": Rule(Fate.EXPIRES, "48 hours after its payment or request"),
    "reviews": Rule(Fate.UNLINKED, "who decided what, and when, stays; what was said in free words goes"),
    "usage": Rule(Fate.REMOVED, "nothing is left of it; of who has paid again, what is of after they asked"),
    "audit": Rule(
        Fate.UNLINKED,
        "who changed or looked at what, and when, stays; the person goes by the erasure's name, and what was said in free words of"
        " a review goes; what staff said of a dispute stays with it",
    ),
    "notifications": Rule(Fate.EXPIRES, f"30 days after it was sent; {_NOBODY}"),
    "endpoints": Rule(Fate.KEPT, _NOBODY),
    "comments": Rule(Fate.KEPT, f"what staff said of a dispute, masked when it was written, {_CLAIMS}"),
    "views": Rule(Fate.KEPT, _NOBODY),
    "approvals": Rule(Fate.EXPIRES, "400 days after it was asked for; it names a dispute or a rule, and staff"),
    "payouts": Rule(Fate.KEPT, f"{_ACCOUNTS}; {_NOBODY}"),
    "reconciliations": Rule(Fate.KEPT, _NOBODY),
    "canaries": Rule(Fate.KEPT, _NOBODY),
    "told_endpoints": Rule(Fate.KEPT, _NOBODY),
    "erasures": Rule(
        Fate.UNLINKED, "that somebody was erased stays, under a keyed pseudonym; the name goes at the end"
    ),
}


@dataclass(frozen=True, slots=True)
class Nameless:
    """What leaves a table's rows. at: the column of its partitions. names: what goes; a member of a repeated record goes in
    each of its items. only: of rows alone in which that column is one of these texts. repeated: the columns that are. by_person: it
    leaves the rows of those who asked, and not every day's. after: so much later than the rows that these are made of. stays: every other column."""

    at: str
    names: tuple[str, ...]
    stays: frozenset[str]
    only: tuple[str, tuple[str, ...]] | None = None
    repeated: frozenset[str] = frozenset()
    by_person: bool = False
    after: timedelta = timedelta(0)


_BUS = "subscription_name message_id publish_time attributes "


def _columns(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _money(*names: str) -> str:
    return " ".join(f"{name}.minor {name}.currency" for name in names) + " "


TABLES: Final[Mapping[str, Nameless]] = {
    # Bytes that nobody could read are nobody's yet, and money may hang on them: they stay until they expire.
    "deliveries": Nameless(
        at="received_at",
        names=("headers", "query", "body"),
        only=("outcome", ("accepted", "ignored", "mode_mismatch")),
        stays=_columns(
            _BUS
            + "delivery_id provider received_at signed_at outcome reason key_ids unsigned types unreadable unknown "
            "livemode endpoint_live endpoint_account adapter_version payload_version"
        ),
    ),
    "payment_events": Nameless(
        at="occurred_at",
        names=(
            *("customer_id", "device_id", "ip", "ip_network", "email_hash", "email_hash_also", "email_domain"),
            *("card.fingerprint", "card.last4", "decision"),
        ),
        repeated=frozenset({"email_hash_also"}),
        by_person=True,
        stays=_columns(
            _BUS
            + _money("amount", "moved", "contest_fee", "fees")
            + "kind heard_at event_id provider account occurred_at "
            "delivery_id livemode unsigned payment_id aliases merchant_reference method card.bin card.network "
            "card.funding card.country billing_country initiator three_d_secure cvv_result avs_result provider_score "
            "step cumulative reference decline_code hard_decline network_transaction_id request_id flow product "
            "dispute_id answer_id payment_aliases stage status status_unknown final reason reason_code network "
            "respond_by respond_by_text can_respond autodefended provider_status evidence_submitted arn alert "
            "warning_id fraud_type actionable found_by label open verdict payout_id resource resource_id hint"
        ),
    ),
    "fraud_decisions": Nameless(
        at="occurred_at",
        names=("history.value", "newcomer.card", "newcomer.device", "newcomer.address"),
        repeated=frozenset({"history"}),
        stays=_columns(
            _BUS
            + _money("amount")
            + "provider account payment_id event_id livemode occurred_at decided_at outcome score "
            "raw_score reasons.source reasons.code reasons.weight fallback model_digest schema_version rules_version "
            "policy_version features.name features.value history.entity history.state history.last_seen_at "
            "book_revision country initiator listed.action listed.kind listed.rule shadow propensity explored sample "
            "request_id request_digest without_history linked_event_id product sca_exemption newcomer.bin "
            "newcomer.account newcomer.refused newcomer.doubted challenger challenger_score network step claims_revision fraud_reported_at claimed_as"
        ),
    ),
    "fraud_labels": Nameless(
        at="known_at",
        names=(),
        stays=_columns(
            _BUS
            + "label_id provider account payment_id label source occurred_at known_at supersedes by revision category"
        ),
    ),
    "dispute_updates": Nameless(
        at="occurred_at",
        names=(),
        stays=_columns(
            _BUS + _money("amount", "moved", "contest_fee", "withdrawn", "fees") + "update_id event_id occurred_at "
            "revision provider account dispute_id payment_id payment_known stage status told_status final "
            "expired_cause reason reason_code network respond_by deadline_unsigned deadline_estimated can_respond "
            "answered_by status_unknown answer_id same_as flags answer answer_state answer_by answered_at packet "
            "status_since won_before alert livemode"
        ),
    ),
    "provider_traffic": Nameless(
        at="day",
        names=(),
        stays=_columns(_BUS + "row_id day counted_at provider type deliveries hours expected"),
    ),
    # A payment by the provider's name of it, as in its document.
    "payouts": Nameless(
        at="paid_at",
        names=(),
        stays=_columns(
            _BUS
            + "row_id provider account payout_id part paid_at read_at status currency paid rest rest_since totals.kind "
            "totals.minor totals.lines exchanged.currency exchanged.charged exchanged.moved exchanged.lines kind "
            "charged_in lines.reference lines.minor"
        ),
    ),
    # Whole rows go, with those of the events that they are made of.
    "purchases": Nameless(
        at="at",
        names=("subscriber", "card", "digits", "ip", "device"),
        by_person=True,
        stays=_columns(
            "at provider payment login went_through network referenced authorized captured returned failed_at"
        ),
    ),
    # Nobody takes them out: a night later there is no flag of whoever has no purchases, and those before expire.
    "readiness": Nameless(
        at="day",
        names=("subscriber",),
        by_person=True,
        after=timedelta(days=3),
        stays=_columns(
            "day rule ready priors matched missing other_card too_young too_old disputed reported unsettled unreferenced"
        ),
    ),
    # A burst of new cards is told with the device or the address that it came from.
    "model_health": Nameless(
        at="day",
        names=("row_id", "subject"),
        only=("measure", ("attack",)),
        stays=_columns(_BUS + "day measured_at measure model value low high payments unusual"),
    ),
}

ELSEWHERE: Final[Mapping[str, str]] = {
    "bytes of deliveries that could not be read": (
        f"{RAW.days} days after they came: they cannot be attributed to a person, and money may hang on them"
    ),
    "evidence that was sent": f"540 days after it was sent, {_CLAIMS}; the bucket refuses to delete it in the first 180",
    "Firestore, point-in-time recovery": "7 days after a document was changed",
    "Firestore, backups": "14 days after the last one that was made before",
    "BigQuery, time travel and fail-safe": "14 days after a row was changed",
    "messages that wait": "7 days after they were published, dead letters 31",
}
"""What is no document and no row: when it goes by itself, and why it may stay until then."""
