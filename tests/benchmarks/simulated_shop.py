"""Our own simulated world as events, told as by a provider that tells everything, and what each attempt really was."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from shared.domain.decisions import Outcome
from shared.domain.events import AnyEvent, Card, DisputeStatus, Initiator, PaymentStep
from shared.domain.instants import microseconds
from shared.flows.train_model import COLUMNS
from shared.fraud.book import shipped_rules
from shared.fraud.expressions import compiled
from shared.fraud.rules import Rule
from shared.learning.data_set import Flags, Floats, Table
from tests.benchmarks.labeled_data import Names, computed
from tests.builders import a_dispute_event, a_fraud_warning, a_payment_event
from tests.simulator.facts import Fact, FactKind
from tests.simulator.world import DAY, SCALES, Fraud, World

DAYS = 150
BURN_IN, TRAINED_UNTIL, TESTED_FROM = 14, 70, 100
"""Days of the story. Training takes the accepted payments of the days between the first two, with what was told of them before
the third; the test begins there."""


_STATUS = {
    FactKind.DISPUTE_OPENED: DisputeStatus.NEEDS_RESPONSE,
    FactKind.DISPUTE_LOST: DisputeStatus.LOST,
    FactKind.DISPUTE_WON: DisputeStatus.WON,
}


@dataclass(frozen=True, slots=True)
class Shop:
    """table.fraud: what had been told before the test begins. pattern: what an attempt really was; empty: honest.
    declined: by the issuer; such an attempt never gets a label, and training leaves it out. denial: how likely the world
    made it that its own customer denies it. names: the attempts' ids, a row each. facts: the story."""

    table: Table
    declined: Flags
    pattern: Names
    denial: Floats
    start: datetime
    names: Sequence[str] = ()
    facts: Sequence[Fact] = ()


def shop(
    seed: int = 11,
    days: int = DAYS,
    *,
    columns: Sequence[str] = COLUMNS,
    answered: float = 0.0,
    denies_again: float | None = None,
) -> Shop:
    """Every attempt of a world of `days` days with our features of it. answered: the part of the disputes that somebody
    contests, a day after they were opened; of those some are won, and what was claimed in them falls. denies_again: how often
    who has denied a payment denies the next; as often as anybody, unless told."""
    scale = replace(SCALES["bench"], days=days, settle_days=0)
    world = World(scale if denies_again is None else replace(scale, denies_again=denies_again), seed)
    # The settling days let nothing begin, so news that would come after the story is simply not heard.
    told_before = microseconds(world.start + TESTED_FROM * DAY)
    known: set[str] = set()
    refused: set[str] = set()
    facts: list[Fact] = []

    def events() -> Iterator[AnyEvent]:
        for fact in world.until(world.end):
            facts.append(fact)
            if fact.kind is FactKind.DISPUTE_OPENED and fact.dispute and world.luck_of(fact.dispute.id) < answered:
                world.answer(fact.dispute.id, fact.at + DAY)
            if (event := event_of(fact)) is None:
                continue
            if fact.kind in (FactKind.FRAUD_WARNED, FactKind.DISPUTE_OPENED) and microseconds(fact.at) < told_before:
                fraud = fact.dispute is None or fact.dispute.reason == "fraud"
                known.update([fact.attempt.id] if fraud else [])
            if fact.kind is FactKind.DECLINED:
                refused.add(fact.attempt.id)
            yield event

    names, at, values = computed(events(), columns, world.start, world.start, world.end + timedelta(days=1))
    fraud = np.array([name in known for name in names], dtype=np.bool_)
    pattern = np.array([world.truth.get(name, "") for name in names])
    declined = np.array([name in refused for name in names], dtype=np.bool_)
    chances = {attempt.id: world.chance_of_denial(attempt) for attempt in world.attempts}
    denial = np.array([chances[name] for name in names])
    return Shop(
        Table(tuple(columns), values, fraud, at, np.ones(len(at))), declined, pattern, denial, world.start, names, facts
    )


def vectors(table: Table) -> list[dict[str, float | None]]:
    """The rows as rules read them."""
    return [
        {name: None if value != value else value for name, value in zip(table.columns, row, strict=True)}
        for row in table.values.tolist()
    ]


def hits(rule: Rule, rows: Sequence[dict[str, float | None]]) -> Flags:
    condition = compiled(rule.tree)
    return np.array([condition(row) is True for row in rows], dtype=np.bool_)


def found_by_people(told: Shop) -> Flags:
    """Accepted attempts that a shipped rule sends to a person who sees what they are. Friendly fraud looks like its owner to
    people too."""
    fraud = ~told.declined & (told.pattern != "") & (told.pattern != Fraud.FRIENDLY.value)
    rows = vectors(told.table.part(fraud))
    asked = np.zeros(len(rows), dtype=np.bool_)
    for rule in shipped_rules():
        if rule.outcome is Outcome.REVIEW:
            asked |= hits(rule, rows)
    found: Flags = np.zeros(len(fraud), dtype=np.bool_)
    found[fraud] = asked
    return found


def event_of(fact: Fact) -> AnyEvent | None:
    """What we are told of `fact`; None where it is nothing that decides or labels."""
    attempt, event_id = fact.attempt, f"data:a:{fact.attempt.id}-{fact.kind}"
    match fact.kind:
        case FactKind.AUTHORIZED | FactKind.DECLINED:
            passed = attempt.three_d_secure and fact.kind is FactKind.AUTHORIZED
            cvv = None if attempt.cvv_matches is None else "match" if attempt.cvv_matches else "mismatch"
            return a_payment_event(
                PaymentStep.AUTHORIZED if fact.kind is FactKind.AUTHORIZED else PaymentStep.DECLINED,
                event_id=event_id,
                payment_id=attempt.id,
                occurred_at=fact.at,
                account=attempt.provider,
                amount=attempt.amount,
                customer_id=attempt.customer,
                device_id=attempt.device,
                ip=attempt.ip,
                email_hash=hashlib.sha256(attempt.email.encode()).hexdigest(),
                email_domain=attempt.email.partition("@")[2],
                billing_country=attempt.country,
                initiator=Initiator(attempt.initiator),
                three_d_secure="authenticated" if passed else None,
                cvv_result=cvv,
                decline_code=attempt.decline_code,
                card=Card(
                    fingerprint=attempt.card.token,
                    bin=attempt.card.bin,
                    last4=attempt.card.last4,
                    network=attempt.card.network,
                    funding=attempt.card.funding,
                    country=attempt.card.country,
                ),
            )
        case FactKind.FRAUD_WARNED:
            return a_fraud_warning(event_id=event_id, payment_id=attempt.id, occurred_at=fact.at)
        case FactKind.DISPUTE_OPENED | FactKind.DISPUTE_LOST | FactKind.DISPUTE_WON:
            assert fact.dispute is not None
            return a_dispute_event(
                event_id=event_id,
                dispute_id=fact.dispute.id,
                payment_id=attempt.id,
                occurred_at=fact.at,
                stage=fact.dispute.stage,
                reason=fact.dispute.reason,
                status=_STATUS[fact.kind],
            )
        case _:
            return None
