"""Stored decisions are computed again: by what made them, whether they still explain themselves; and by another model or
another book of rules, who would have been stopped or let pass."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from shared.domain.codec import encode, from_document
from shared.domain.decisions import Decision, Outcome
from shared.domain.errors import Misconfigured
from shared.domain.money import Money
from shared.domain.telemetry import alarm, fact
from shared.flows.backtest import Window, sample_of, share_of
from shared.flows.book_of_rules import kept_book
from shared.flows.ports import ASKED, Ports
from shared.fraud import model as artifacts
from shared.fraud.backtest import FATE_SQL, LAST_TOLD_SQL, VERDICTS_SQL, Fate, Fates, Tally
from shared.fraud.book import Book, book_shipped
from shared.fraud.decide import judged_by, recompute
from shared.fraud.features import SCHEMA_VERSION, Entity
from shared.fraud.lists import EntityLists
from shared.fraud.model import Model

NAMED = 20

NEWEST_SQL = """SELECT * FROM fraud_decisions
WHERE occurred_at >= @since AND occurred_at <= @until
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id, occurred_at ORDER BY decided_at DESC) = 1
ORDER BY decided_at DESC, event_id
LIMIT @most"""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """other_versions: made by a schema, rules, thresholds or a model that this release does not have; not computed."""

    looked_at: int
    equal: int
    different: int
    other_versions: int


_ModelOf = Callable[[Decision], Model | None]
_BookOf = Callable[[Decision], Book | None]


def makers(ports: Ports) -> tuple[_ModelOf, _BookOf]:
    """What made a decision, by the names that it gives, those of earlier releases by the features of their time: its model, and
    its book; None for what is not here. The latter raises ValueError for rules that ask what the decision did not record."""

    @cache
    def model(digest: str, schema_version: str) -> Model | None:
        try:
            return artifacts.load(ports.models.load(digest), digest, schema_version)
        except Misconfigured:
            return None

    @cache
    def book(revision: int | None, rules_version: str, names: Set[str]) -> Book | None:
        if revision is None:
            return book_shipped(rules_version, names)
        return kept_book(ports.documents, revision, names)

    def model_of(made: Decision) -> Model | None:
        return model(made.model_digest, made.schema_version) if made.model_digest else None

    def book_of(made: Decision) -> Book | None:
        return book(made.book_revision, made.rules_version, frozenset(feature.name for feature in made.features))

    return model_of, book_of


def recompute_decisions(ports: Ports, now: datetime, most: int, within: timedelta) -> Recomputed:
    """Compute the newest `most` decisions on payments of the time `within` now again, each with the model and the book that it
    names, from the vector that it stored: those of earlier releases by the features of their time.

    A difference is an alarm with the events' ids: damage, or a change of the code that its versions do not tell. Raises
    Unavailable.
    """
    model_of, book_of = makers(ports)
    counts: Counter[str] = Counter()
    different: list[str] = []
    for row in ports.warehouse.query(NEWEST_SQL, {"since": now - within, "until": now, "most": most}):
        decision = from_document(row, Decision)
        counts["looked_at"] += 1
        made_by = model_of(decision)
        if decision.model_digest and made_by is None:
            counts["other_versions"] += 1
            continue
        try:
            book = book_of(decision)
            if book is None:
                counts["other_versions"] += 1
                continue
            again = recompute(decision, made_by, book)
        except ValueError:
            counts["other_versions"] += 1
            continue
        if encode(again) == encode(decision):
            counts["equal"] += 1
        else:
            different += [decision.event_id]
    told = Recomputed(counts["looked_at"], counts["equal"], len(different), counts["other_versions"])
    fact("decisions_recomputed", **asdict(told))
    if different:
        alarm("decisions_differ", decisions=len(different), event_ids=" ".join(different[:NAMED]))
    return told


LONGEST_REPLAY: Final = timedelta(days=31)
MOST_REPLAYED: Final = 20_000
PAGE: Final = 2_000
"""Decisions that are held at once: about so many."""


# What lists go by stands in no decision, or for 28 days: it is read beside, of the event that was decided on.
_NAMED_SQL: Final = """LEFT JOIN (
  SELECT event_id AS named, payment_events.card.bin AS bin, payment_events.card.country AS card_country,
    billing_country, email_domain, email_hash, email_hash_also{entities}
  FROM payment_events
  WHERE occurred_at >= @since AND occurred_at < @until AND kind IN ('payment', 'assessment')
    AND SUBSTR(TO_HEX(MD5(event_id)), 1, 2) BETWEEN @from_sample AND @sample
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY occurred_at) = 1
) AS names ON names.named = told.event_id"""


def replayed_sql(*, named: bool, entities: bool = False) -> str:
    """Each decision of the time whose `sample` lies from @from_sample to @sample, with the `fate` of its payment; `named`: and
    with what lists of a book go by, `named` being null where no event says it; `entities`: whom the payment names, too."""
    columns = (
        ", names.named, names.bin, names.card_country, names.billing_country, names.email_domain, names.email_hash"
        ", names.email_hash_also"
    )
    whom = ", payment_events.card.fingerprint AS fingerprint, customer_id, device_id, ip_network" if entities else ""
    if entities:
        columns += ", names.fingerprint, names.customer_id, names.device_id, names.ip_network"
    return f"""SELECT told.*, {FATE_SQL} AS fate{columns if named else ""}
FROM (
  {LAST_TOLD_SQL.format(columns="*")}
) AS told
{VERDICTS_SQL}
{_NAMED_SQL.format(entities=whom) if named else ""}
ORDER BY told.event_id"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True)
class _Card:
    bin: str | None
    country: str | None


@dataclass(frozen=True, slots=True)
class Names:
    """What `shared.fraud.lists.MEMBERS` looks at of a payment."""

    card: _Card
    billing_country: str | None
    email_domain: str | None
    email_hash: str | None
    email_hash_also: Sequence[str] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Names":
        card = _Card(row["bin"], row["card_country"])
        also = tuple(row["email_hash_also"] or ())
        return cls(card, row["billing_country"], row["email_domain"], row["email_hash"], also)


def _also_of(row: Mapping[str, Any]) -> Sequence[str]:
    """`Attempt.also` of the payment of a row."""
    return () if row["customer_id"] else row["email_hash_also"] or ()


def _whom(row: Mapping[str, Any]) -> dict[Entity, str | None]:
    """Whom the payment of a row names, as `ENTITY_FIELDS` has them."""
    return {
        Entity.CARD: row["fingerprint"],
        Entity.CUSTOMER: row["customer_id"] or row["email_hash"],
        Entity.DEVICE: row["device_id"],
        Entity.IP: row["ip_network"],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Payments whose outcome was one, and would be another, by what became of them."""

    was: Outcome
    would_be: Outcome
    fates: Fates


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDecision:
    """A payment that would have been answered otherwise. score: the other model's, or the same. reasons: of rules and lists."""

    event_id: str
    payment_id: str
    occurred_at: datetime
    amount: Money | None
    was: Outcome
    would_be: Outcome
    fate: Fate
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """share: the part of the payments that were looked at; counts and money are of that part. fates: what became of those that
    were judged again. other_versions: decisions of a schema, a model or a book that is not here, or of which no event says
    what lists go by. newly_declined: would be, and were not; no_longer_declined: the other way round. moved: all that would
    be answered otherwise. decisions: the first of them, by event id."""

    since: datetime
    until: datetime
    matured_until: datetime
    share: float
    fates: Fates
    other_versions: int
    newly_declined: Fates
    no_longer_declined: Fates
    moved: tuple[Moved, ...]
    decisions: tuple[OtherDecision, ...]


MOST_NAMED: Final = 50


def replay_decisions(
    ports: Ports,
    window: Window,
    now: datetime,
    *,
    book: Book | None,
    model: str | None,
    listed: EntityLists | None = None,
) -> Replayed:
    """Judge the decisions on payments of `window` again, of the features that they recorded, by `book` and by the model of the
    digest `model`; None: by the one that each names. listed: whom lists are to name besides, since before all of it. The same
    rows give the same answer.

    History is what it was: whom another book would have declined would have left another one. Raises Rejected for a window
    that is none, Misconfigured for a model that is not here, Unavailable.
    """
    parameters = window.checked(LONGEST_REPLAY).parameters(now)
    other = artifacts.load(ports.models.load(model), model) if model else None
    model_of, book_of = makers(ports)
    sample = sample_of(ports.warehouse, window.since, window.until, MOST_REPLAYED)
    whole, declined, passed = Tally(), Tally(), Tally()
    moved: dict[tuple[Outcome, Outcome], Tally] = {}
    found: list[OtherDecision] = []
    others = 0
    by_entity = bool(listed)
    named = by_entity or (book is not None and bool(book.contents.entries))
    for row in _pages(ports, parameters, sample, replayed_sql(named=named, entities=by_entity)):
        was = from_document({**row, "features": row["features"] or []}, Decision)
        if was.schema_version != SCHEMA_VERSION or (named and row["named"] is None):
            others += 1
            continue
        by_model, by_book = other or model_of(was), book or book_of(was)
        if by_book is None or (by_model is None and was.model_digest is not None):
            others += 1
            continue
        assert by_book is not None
        names = None if book is None else Names.of(row) if named else _NOBODY
        beside = listed.of(_whom(row), was.decided_at, _also_of(row)) if listed else ()
        would = judged_by(was, by_model, by_book, names, beside)
        amount = was.amount
        told = (Fate(row["fate"]), amount.currency if amount else None, 1, amount.minor if amount else None)
        whole.add(*told)
        if would.outcome is was.outcome:
            continue
        moved.setdefault((was.outcome, would.outcome), Tally()).add(*told)
        if Outcome.DECLINE in (was.outcome, would.outcome):
            (declined if would.outcome is Outcome.DECLINE else passed).add(*told)
        found += [
            OtherDecision(
                event_id=was.event_id,
                payment_id=was.payment_id,
                occurred_at=was.occurred_at,
                amount=amount,
                was=was.outcome,
                would_be=would.outcome,
                fate=told[0],
                score=would.score,
                reasons=tuple(reason.code for reason in would.reasons if reason.source != "model"),
            )
        ]
    fact("decisions_replayed", looked_at=sum(one.payments for one in whole.fates.values()) + others, moved=len(found))
    return Replayed(
        since=window.since,
        until=window.until,
        matured_until=parameters["matured_until"],
        share=share_of(sample),
        fates=whole.fates,
        other_versions=others,
        newly_declined=declined.fates,
        no_longer_declined=passed.fates,
        moved=tuple(
            Moved(was=was, would_be=would_be, fates=moved[was, would_be].fates) for was, would_be in sorted(moved)
        ),
        decisions=tuple(sorted(found, key=lambda one: one.event_id)[:MOST_NAMED]),
    )


_NOBODY: Final = Names(_Card(None, None), None, None, None)


def _pages(ports: Ports, parameters: Mapping[str, Any], sample: str, sql: str) -> Iterator[dict[str, Any]]:
    """The decisions of `sql` up to `sample`, a part of the samples at a time, so that few are held at once."""
    last = int(sample, 16)
    step = max((last + 1) * PAGE // MOST_REPLAYED, 1)
    for first in range(0, last + 1, step):
        end = min(first + step - 1, last)
        page = {**parameters, "from_sample": f"{first:02x}", "sample": f"{end:02x}"}
        yield from ports.warehouse.query(sql, page, bound=ASKED)
