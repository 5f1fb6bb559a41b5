"""The whole story of a payment, a dispute or a delivery: from the bytes that came in to what was made of them, in order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.codec import from_document
from shared.domain.delivery import DeliveryOutcome
from shared.domain.disputes import ActionState, Dispute
from shared.domain.money import Money
from shared.domain.payments import Payment
from shared.domain.people import colleague
from shared.domain.reviews import Review
from shared.flows import cases
from shared.flows.audit import about, names_one
from shared.flows.filing import dispute_of, key_of
from shared.flows.judged import Judged
from shared.flows.ports import ASKED, Bound, Key, Ports
from shared.flows.record_payment import payment_of
from shared.flows.reviews import review_key
from shared.operations.archive import LATE, Kept
from shared.operations.finding import AHEAD, REQUEST, WITHIN, Found, Kind, decision_on, name_of

MOST_NAMES: Final = 60
MOST_DELIVERIES: Final = 100
MOST_RECORDS: Final = 5000
# Before a payment's first event somebody may have asked about it.
BEFORE: Final = timedelta(days=2)
# What is not in its payment after that is on no way to it any more: a message is tried for two hours.
SETTLED: Final = timedelta(minutes=10)
# A delivery came before what it tells was published: seconds, or as long as the provider's API did not answer.
CAME_BEFORE: Final = timedelta(days=1)
AROUND: Final = timedelta(hours=1)
MOST_SPANS: Final = 20
Span = tuple[datetime, datetime]
"""From the first instant on, and before the second."""
# Events lie by kind and payment within their days, and of most days nothing is read: the estimate, by which a query is let run,
# is of the whole days.
CLUSTERED: Final = Bound(bytes=2**42, seconds=50.0)

_COLUMNS: Final = (
    "kind, event_id, provider, account, occurred_at, heard_at, publish_time, delivery_id, unsigned, payment_id, dispute_id,"
    " step, stage, status, amount, reason, decline_code, resource, resource_id, hint, verdict, open, message_id"
)
EVENTS_OF_PAYMENT: Final = f"""SELECT {_COLUMNS} FROM payment_events
WHERE provider = @provider AND occurred_at >= @since AND occurred_at < @until
  AND kind IN ('payment', 'assessment', 'review', 'fraud_warning', 'fraud_found', 'dispute') AND payment_id IN ({{names}})"""  # noqa: S608
EVENTS_OF_DISPUTES: Final = f"""SELECT {_COLUMNS} FROM payment_events
WHERE provider = @provider AND occurred_at >= @since AND occurred_at < @until
  AND kind = 'dispute' AND dispute_id IN ({{names}})"""  # noqa: S608
EVENTS_OF_DELIVERY: Final = f"""SELECT {_COLUMNS} FROM payment_events
WHERE provider = @provider AND occurred_at >= @since AND occurred_at < @until AND delivery_id IN ({{names}})"""  # noqa: S608
EVENT: Final = f"""SELECT {_COLUMNS} FROM payment_events
WHERE provider = @provider AND occurred_at >= @since AND occurred_at < @until AND event_id IN ({{names}})"""  # noqa: S608
_RECEIVED: Final = "received_at >= @since AND received_at < @until"
# Every outcome is named, for rows lie by provider, outcome and id within their days: what is read of a day is a block or two.
DELIVERIES: Final = f"""SELECT delivery_id, provider, received_at, signed_at, outcome, reason, key_ids, types, unreadable, unknown,
  endpoint_live, endpoint_account, adapter_version, payload_version, publish_time
FROM deliveries
WHERE provider = @provider AND outcome IN ({", ".join(f"'{one}'" for one in DeliveryOutcome)})
  AND {_RECEIVED} AND delivery_id IN ({{names}})"""  # noqa: S608 - constants of ours
UPDATES: Final = """SELECT update_id, event_id, occurred_at, revision, dispute_id, stage, status, answer_state, flags, publish_time
FROM dispute_updates
WHERE provider = @provider AND occurred_at >= @since AND occurred_at < @until AND dispute_id IN ({names})"""
LABELS: Final = """SELECT label_id, label, source, known_at, `by`, revision
FROM fraud_labels
WHERE provider = @provider AND known_at >= @since AND known_at < @until AND payment_id IN ({names})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened. at: by our clock; where only the provider's is known, by that, and `theirs`. kind: delivery,
    event, decision, review, dispute, reminder, answer, label, person. id: under which more of it is told. told_at: the provider's
    time, of what a provider told."""

    at: datetime
    kind: str
    what: str
    id: str | None = None
    told_at: datetime | None = None
    theirs: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """state: how it stands now, by our documents. moments: the earliest first. doubts: what is missing or does not fit, in
    words, for whoever has to go on from here."""

    kind: Kind
    provider: str
    id: str
    names: tuple[str, ...]
    state: Mapping[str, Any]
    moments: tuple[Moment, ...]
    doubts: tuple[str, ...]

    @property
    def name(self) -> str:
        return name_of(self.kind, self.provider, self.id)


def story(ports: Ports, found: Found, now: datetime) -> Story:
    """Of a dispute the story of its payment, where that is among ours. A handful of reads and queries."""
    match found.kind:
        case Kind.PAYMENT:
            return _of_payment(ports, found, now)
        case Kind.DISPUTE:
            return _of_dispute(ports, found, now)
        case Kind.DELIVERY | Kind.EVENT:
            return _of_delivery(ports, found, now)


@dataclass(slots=True)
class _Telling:
    """What is put together. events: rows by event id, the first that was heard of each; copies: how many there are."""

    ports: Ports
    provider: str
    now: datetime
    moments: list[Moment] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    events: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    published: list[datetime | None] = field(default_factory=list)

    def rows(
        self, sql: str, names: Iterable[str], since: datetime, bound: Bound = CLUSTERED, among: Sequence[Span] = ()
    ) -> list[dict[str, Any]]:
        """Those of `sql` since then, of the first MOST_NAMES names; of `among`, where deliveries are asked for: those that were
        received within one of its spans."""
        wanted = list(dict.fromkeys(name for name in names if name))[:MOST_NAMES]
        if not wanted:
            return []
        parameters: dict[str, Any] = {f"n{place}": name for place, name in enumerate(wanted)}
        listed = ", ".join(f"@{name}" for name in parameters)
        parameters["provider"] = self.provider
        if among:
            edges = [(f"from_{place}", f"to_{place}") for place in range(len(among))]
            within = " OR ".join(f"(received_at >= @{begin} AND received_at < @{end})" for begin, end in edges)
            sql = sql.replace(_RECEIVED, f"({within})")
            parameters |= {
                name: at for pair, span in zip(edges, among, strict=True) for name, at in zip(pair, span, strict=True)
            }
        else:
            parameters |= {"since": since, "until": self.now + AHEAD}
        found = self.ports.warehouse.query(sql.format(names=listed), parameters, bound=bound)
        return [
            {**row, "publish_time": self.by_now(row["publish_time"])} if "publish_time" in row else row for row in found
        ]

    def by_now(self, published_at: datetime | None) -> datetime | None:
        """None for an instant to come: where the clock is a simulated one, the bus has another, which says nothing here."""
        return published_at if published_at and published_at <= self.now + AHEAD else None

    def tell_events(self, rows: Iterable[Mapping[str, Any]]) -> None:
        copies: dict[str, int] = {}
        for row in sorted(rows, key=_heard):
            self.published.append(row["publish_time"])
            self.events.setdefault(row["event_id"], row)
            copies[row["event_id"]] = copies.get(row["event_id"], 0) + 1
        for event_id, row in self.events.items():
            self.moments.append(_event(row, copies.get(event_id, 1)))

    def tell_deliveries(self) -> None:
        """The bytes in which the events came."""
        ids = {row["delivery_id"] for row in self.events.values() if row["delivery_id"]}
        if not ids:
            return
        first = min(map(_heard, self.events.values()))
        self._deliveries(sorted(ids)[:MOST_DELIVERIES], first - BEFORE)

    def _deliveries(self, ids: Sequence[str], since: datetime) -> None:
        """Where they lie by when their events were published, and for what is not there since then: a day of deliveries is
        much to read, and the months of a payment are many."""
        rows = self._kept(ids, since, spans(self.published))
        if left := sorted(set(ids) - {row["delivery_id"] for row in rows}):
            rows += self._kept(left, since, ())
        self.tell_kept(map(Kept.of, rows))
        missing = set(ids) - {row["delivery_id"] for row in rows}
        if missing:
            self.doubts.append(f"the bytes of {len(missing)} deliveries are not kept any more, or not yet")

    def _kept(self, ids: Sequence[str], since: datetime, among: Sequence[Span]) -> list[dict[str, Any]]:
        return [
            row
            for start in range(0, len(ids), MOST_NAMES)
            for row in self.rows(DELIVERIES, ids[start : start + MOST_NAMES], since, ASKED, among)
        ]

    def tell_kept(self, kept: Iterable[Kept]) -> None:
        for one in sorted(kept, key=lambda one: (one.received_at, one.publish_time or one.received_at)):
            published_at = self.by_now(one.publish_time)
            replayed = published_at is not None and published_at > one.received_at + SETTLED
            at = published_at if replayed and published_at else one.received_at
            self.moments.append(_delivery(one, at, replayed=replayed))
            if one.unreadable:
                self.doubts.append(f"{one.delivery_id}: {'; '.join(one.unreadable)[:300]}")

    def tell_people(self, names: Iterable[str], since: datetime) -> None:
        """What people did to what is called so, and to its provider as a whole."""
        own = {f"{self.provider}:{name}" for name in names} | {f"parked:{self.provider}"} | self.events.keys()
        records, all_of_them = about(self.ports.documents, own, since, MOST_RECORDS)
        if not all_of_them:
            self.doubts.append(
                f"people changed more than {MOST_RECORDS} things since then: payin audit has the later ones"
            )
        for one in records:
            changes = [change for change in one.changes if names_one(change.name, own)]
            self.moments.append(
                Moment(
                    at=one.at,
                    kind="person",
                    what=f"{one.who}: {one.what}, because: {one.why}{f' ({one.outcome})' if one.outcome else ''}",
                    id=changes[0].name,
                    details={"changes": [{"was": one.before, "is": one.after} for one in changes]},
                )
            )

    def told(self, of: Kind, name: str, names: Iterable[str], state: Mapping[str, Any]) -> Story:
        in_order = sorted(self.moments, key=lambda one: (one.at, _RANK.get(one.kind, 9), one.id or ""))
        return Story(
            kind=of,
            provider=self.provider,
            id=name,
            names=tuple(dict.fromkeys(names)),
            state={name: value for name, value in state.items() if value not in (None, (), "")},
            moments=tuple(in_order),
            doubts=tuple(dict.fromkeys(self.doubts)),
        )


def spans(published: Iterable[datetime | None]) -> list[Span]:
    """When what was published at these instants may have been received, put together where they meet. None where that is not
    known of all of it, or too many."""
    found: list[Span] = []
    for at in sorted(published, key=lambda one: (one is not None, one)):
        if at is None:
            return []
        begin, end = at - CAME_BEFORE, at + AROUND
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found if len(found) <= MOST_SPANS else []


_RANK: Final = {
    name: rank
    for rank, name in enumerate(
        ("delivery", "event", "decision", "review", "dispute", "reminder", "answer", "label", "person")
    )
}


def _heard(row: Mapping[str, Any]) -> datetime:
    found: datetime = row["heard_at"] or row["publish_time"] or row["occurred_at"]
    return found


def _of_payment(ports: Ports, found: Found, now: datetime) -> Story:
    telling = _Telling(ports, found.provider, now)
    name = f"{found.provider}:{found.id}"
    own, filed = ports.documents.get([Key(cases.PAYMENTS, name), Key(cases.COLLECTION, name)])
    payment, case = payment_of(own), cases.stored(filed)
    judged = decision_on(ports.documents, found.provider, found.id)
    disputes = _disputes(ports, found.provider, sorted(case.disputes) if case else [])
    names = [found.id, *(payment.aliases if payment else ())]
    if judged is not None and judged.decision.request_id is not None:
        names.append(judged.decision.payment_id)
    since = _first(payment, judged, disputes, found, now) - BEFORE
    rows = telling.rows(EVENTS_OF_PAYMENT, names, since)
    of_disputes = telling.rows(EVENTS_OF_DISPUTES, (one.dispute_id for one in disputes), since)
    telling.tell_events([*rows, *(row for row in of_disputes if row not in rows)])
    telling.tell_deliveries()
    _tell_decision(telling, judged)
    for dispute in disputes:
        _tell_dispute(telling, dispute)
    _tell_updates(telling, disputes, since)
    for label in telling.rows(LABELS, names, since):
        _tell_label(telling, label)
    telling.tell_people([*names, *(one.dispute_id for one in disputes)], since)
    _doubt_payment(telling, payment, judged, found)
    return telling.told(Kind.PAYMENT, found.id, names, _state(payment, judged, disputes))


def _first(
    payment: Payment | None, judged: Judged | None, disputes: Iterable[Dispute], found: Found, now: datetime
) -> datetime:
    """The earliest instant that is known of it."""
    known = [
        payment.first_at if payment else None,
        judged.decision.occurred_at if judged else None,
        found.at,
        *(one.first_at for one in disputes),
    ]
    return min((one for one in known if one is not None), default=now - WITHIN)


def _disputes(ports: Ports, provider: str, ids: Sequence[str]) -> list[Dispute]:
    found = ports.documents.get([key_of(provider, one) for one in ids]) if ids else []
    return [dispute for one in found if (dispute := dispute_of(one)) is not None]


def _of_dispute(ports: Ports, found: Found, now: datetime) -> Story:
    disputes = _disputes(ports, found.provider, [found.id])
    if disputes and disputes[0].linked_to is not None:
        payment = Found(kind=Kind.PAYMENT, provider=found.provider, id=disputes[0].linked_to, how="its dispute")
        return _of_payment(ports, payment, now)
    telling = _Telling(ports, found.provider, now)
    since = _first(None, None, disputes, found, now) - BEFORE
    telling.tell_events(telling.rows(EVENTS_OF_DISPUTES, [found.id], since))
    telling.tell_deliveries()
    for dispute in disputes:
        _tell_dispute(telling, dispute)
        telling.doubts.append("its payment is not among ours")
    if not disputes:
        telling.doubts.append("it is not among our disputes: see the dead letters of track-dispute")
    _tell_updates(telling, disputes, since)
    telling.tell_people([found.id], since)
    return telling.told(Kind.DISPUTE, found.id, [found.id], _state(None, None, disputes))


def kept_story(ports: Ports, dispute: Dispute, now: datetime) -> Story:
    """Of a dispute and its payment, as far as our documents tell it: without the bytes and the rows in which it came and went,
    which cost a query each. Two reads."""
    telling = _Telling(ports, dispute.provider, now)
    payment_id = dispute.linked_to or dispute.payment_id
    payment, judged = None, None
    if payment_id is not None:
        [own] = ports.documents.get([Key(cases.PAYMENTS, f"{dispute.provider}:{payment_id}")])
        payment, judged = payment_of(own), decision_on(ports.documents, dispute.provider, payment_id)
    for event_id, fact in (payment.facts if payment else {}).items():
        said = " ".join(str(word) for word in (fact.step, fact.amount) if word)
        telling.moments.append(_fact(f"payment {said}", event_id, fact.occurred_at, None))
    _tell_decision(telling, judged)
    for event_id, one in dispute.facts.items():
        said = " ".join(str(word) for word in (one.stage, one.status, one.amount) if word)
        telling.moments.append(_fact(f"dispute {said}", event_id, one.occurred_at, one.heard_at))
    _tell_dispute(telling, dispute)
    return telling.told(Kind.DISPUTE, dispute.dispute_id, [dispute.dispute_id], _state(payment, judged, [dispute]))


def _fact(what: str, event_id: str, occurred_at: datetime, heard_at: datetime | None) -> Moment:
    return Moment(
        at=heard_at or occurred_at,
        kind="event",
        what=what,
        id=event_id,
        told_at=occurred_at,
        theirs=heard_at is None,
    )


def _of_delivery(ports: Ports, found: Found, now: datetime) -> Story:
    telling = _Telling(ports, found.provider, now)
    since = (found.at or now - WITHIN) - BEFORE
    if found.kind is Kind.EVENT:
        telling.tell_events(telling.rows(EVENT, [found.id], since))
        telling.tell_deliveries()
    else:
        rows = telling.rows(DELIVERIES, [found.id], since, ASKED)
        telling.tell_kept(map(Kept.of, rows))
        telling.tell_events(telling.rows(EVENTS_OF_DELIVERY, [found.id], since - LATE))
    return telling.told(found.kind, found.id, [found.id], {})


def _delivery(kept: Kept, at: datetime, *, replayed: bool) -> Moment:
    keys = ", ".join(kept.key_ids) or "no key"
    what = f"{', '.join(kept.types) or 'a delivery'}: {kept.outcome}{f' ({kept.reason})' if kept.reason else ''}"
    return Moment(
        at=at,
        kind="delivery",
        what=f"replayed, {what}" if replayed else f"received, {what}; proved by {keys}",
        id=kept.delivery_id,
        told_at=kept.signed_at,
        details={"adapter": kept.adapter_version, "unknown": kept.unknown, "unreadable": kept.unreadable},
    )


def _event(row: Mapping[str, Any], copies: int) -> Moment:
    heard = row["heard_at"] or row["publish_time"]
    amount = row["amount"]
    money = Money(amount["minor"], amount["currency"]) if amount and amount["currency"] else None
    words = [row["step"], row["stage"], row["status"], row["reason"], row["decline_code"], row["resource"], row["hint"]]
    if row["kind"] == "review":
        words.append("opened" if row["open"] else f"closed {row['verdict'] or ''}".strip())
    said = " ".join(str(word) for word in words if word)
    of = row["dispute_id"] or row["payment_id"] or row["resource_id"]
    told = f"{row['kind']} {said} of {of}" if said else f"{row['kind']} of {of}"
    return Moment(
        at=heard or row["occurred_at"],
        kind="event",
        what=f"{told}{f', {money}' if money else ''}{f'; told {copies} times' if copies > 1 else ''}",
        id=row["event_id"],
        told_at=row["occurred_at"],
        theirs=heard is None,
        details={"delivery_id": row["delivery_id"], "unsigned": tuple(row["unsigned"] or ())},
    )


def _tell_decision(telling: _Telling, judged: Judged | None) -> None:
    if judged is None:
        return
    decision = judged.decision
    by = decision.model_digest[:12] if decision.model_digest else f"rules alone ({decision.fallback})"
    score = f", score {decision.score:.4f}" if decision.score is not None else ""
    rules = [reason.code for reason in decision.reasons if reason.source != "model"]
    telling.moments.append(
        Moment(
            at=decision.decided_at,
            kind="decision",
            what=f"{decision.outcome}{score} by {by}{f': {chr(44).join(rules)}' if rules else ''}",
            id=decision.event_id,
            told_at=decision.occurred_at,
            details={
                "request_id": decision.request_id,
                "linked_event_id": judged.link.event_id if judged.link else None,
                "rules_version": decision.rules_version,
                "book_revision": decision.book_revision,
            },
        )
    )
    [found] = telling.ports.documents.get([review_key(f"{decision.provider}:{decision.payment_id}")])
    if found is None:
        return
    review = from_document(found.document, Review)
    telling.moments.append(Moment(at=review.opened_at, kind="review", what="a person is to look", id=review.id))
    for step in review.trail:
        why = f": {step.why}" if step.why else ""
        telling.moments.append(Moment(at=step.at, kind="review", what=f"{step.act}{why}", id=review.id))
    if review.closed is not None:
        telling.doubts.append(f"its review ended without a verdict: {review.closed}")


def _tell_dispute(telling: _Telling, dispute: Dispute) -> None:
    name = f"{dispute.provider}:{dispute.dispute_id}"
    for action in dispute.actions.values():
        if action.state is not ActionState.SUPERSEDED:
            cause = f" ({action.cause})" if action.cause else ""
            said = f"{action.rung}{cause}{'' if action.state is ActionState.DONE else ', being told'}"
            telling.moments.append(Moment(at=action.at, kind="reminder", what=said, id=name))
    for round_, answer in dispute.answers.items():
        act = answer.act or "undecided"
        why = f": {'; '.join(answer.why)}" if answer.why else ""
        by = f" by {colleague(answer.by)}" if answer.by else ""
        telling.moments.append(Moment(at=answer.at, kind="answer", what=f"{round_} {act}{by}{why}", id=name))
        if answer.sent_at is not None:
            told = Moment(at=answer.sent_at, kind="answer", what=f"{round_} on its way ({answer.intent})", id=name)
            telling.moments.append(told)
        if answer.answered_at is not None:
            reference = f", {answer.reference}" if answer.reference else ""
            said = f"{round_} {answer.state}{reference}"
            telling.moments.append(Moment(at=answer.answered_at, kind="answer", what=said, id=name))
        if answer.code is not None:
            telling.doubts.append(f"the answer to {name} is {answer.state}: {answer.code}")
    telling.doubts += [f"dispute {name}: {trouble}" for trouble in dispute.inconsistent]


def _tell_updates(telling: _Telling, disputes: Sequence[Dispute], since: datetime) -> None:
    rows = telling.rows(UPDATES, (one.dispute_id for one in disputes), since, ASKED)
    latest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["revision"], row["publish_time"] or row["occurred_at"])):
        latest[row["update_id"]] = row
    for row in latest.values():
        words = [row["stage"], row["status"], row["answer_state"] and f"answer {row['answer_state']}", *row["flags"]]
        telling.moments.append(
            Moment(
                at=row["publish_time"] or row["occurred_at"],
                kind="dispute",
                what=f"told as {' '.join(str(word) for word in words if word)}",
                id=f"{telling.provider}:{row['dispute_id']}",
                theirs=row["publish_time"] is None,
                details={"update_id": row["update_id"], "event_id": row["event_id"]},
            )
        )


def _tell_label(telling: _Telling, row: Mapping[str, Any]) -> None:
    what = f"{row['label']}, says {row['source']}"
    moment = Moment(at=row["known_at"], kind="label", what=what, id=row["label_id"])
    if moment not in telling.moments:
        telling.moments.append(moment)


def _doubt_payment(telling: _Telling, payment: Payment | None, judged: Judged | None, found: Found) -> None:
    settled = {event_id: row for event_id, row in telling.events.items() if _heard(row) < telling.now - SETTLED}
    of_payment = [event_id for event_id, row in settled.items() if row["kind"] in ("payment", "review")]
    if payment is None and of_payment:
        telling.doubts.append("no document of the payment: see the dead letters of record-payment")
    elif payment is not None:
        telling.doubts += [f"payment: {trouble}" for trouble in payment.inconsistent]
        if payment.folded is None:
            telling.doubts += [
                f"{event_id} is not in the payment: see the dead letters of record-payment"
                for event_id in of_payment
                if event_id not in payment.facts
            ]
    tried = any(row["step"] in ("authorized", "captured", "declined") for row in settled.values())
    if judged is None and tried:
        telling.doubts.append("nobody decided on it: see the dead letters of score-payment")
    if payment is None and not telling.events and not found.id.startswith(REQUEST):
        telling.doubts.append("no event of it in the time that was looked at")


def _state(payment: Payment | None, judged: Judged | None, disputes: Sequence[Dispute]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if payment is not None:
        state |= {
            "payment": payment.state,
            "authorized": payment.authorized,
            "captured": payment.captured,
            "refunded": payment.refunded,
            "reversed": payment.reversed,
            "order": payment.details.merchant_reference,
            "customer": payment.details.customer_id,
        }
    if judged is not None:
        state["decision"] = judged.decision.outcome
    for dispute in disputes:
        status = " ".join(str(word) for word in (dispute.stage, dispute.status) if word)
        due = f", respond by {dispute.respond_by:%Y-%m-%d %H:%M} UTC" if dispute.respond_by else ""
        state[f"dispute {dispute.dispute_id}"] = f"{status}{due}"
    return state


def pauses(moments: Sequence[Moment]) -> Iterator[tuple[Moment, timedelta | None]]:
    """Each moment, and how long after the one before it was."""
    before: datetime | None = None
    for moment in moments:
        yield moment, None if before is None else moment.at - before
        before = moment.at


def payment_of_dispute(ports: Ports, found: Found) -> str | None:
    """The payment that a dispute is tied to, or that its provider named; None where nobody knows one."""
    for dispute in _disputes(ports, found.provider, [found.id]):
        return dispute.linked_to or dispute.payment_id
    return None
