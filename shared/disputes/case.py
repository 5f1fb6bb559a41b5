"""What a payment's case adds up to: its disputes, fraud warnings and refunds, side by side."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from shared.domain import ledger, payments, timeline, totals
from shared.domain.disputes import Case, CaseFlag, Dispute, DisputeSummary, FraudFinding, FraudWarning, told
from shared.domain.events import (
    DisputeStage,
    DisputeStatus,
    Finder,
    FraudFound,
    FraudWarned,
    PaymentChanged,
    PaymentStep,
)
from shared.domain.ledger import Ledger
from shared.domain.money import Money, total_of
from shared.domain.payments import PaymentFact

Told = TypeVar("Told", FraudWarning, FraudFinding)


def with_dispute(case: Case, dispute: Dispute) -> Case:
    """`case` with `dispute` as the provider tells it; what we did about it is no part of the case."""
    if dispute.first_at is None:
        return case
    own = [fact for fact in dispute.facts.values() if fact.told_as is None]
    summary = DisputeSummary(
        opened_at=dispute.first_at,
        facts=told(own),
        stage=dispute.stage,
        status=dispute.told_status,
        final=dispute.final,
        amount=dispute.amount,
        alert=dispute.alert,
    )
    unplaced = {name: facts for name, facts in case.unplaced.items() if name != dispute.dispute_id}
    return judge(replace(case, disputes={**case.disputes, dispute.dispute_id: summary}, unplaced=unplaced))


def with_unplaced(case: Case, stray: Dispute) -> Case:
    """`case` with the number of facts that were told under the payment's name `stray.dispute_id`."""
    return replace(case, unplaced={**case.unplaced, stray.dispute_id: told(stray.facts.values())})


def without(case: Case, disputes: Collection[str]) -> Case:
    """`case` without those `disputes`: they stand in another one. It knows more than before, for this is news too."""
    left = replace(
        case,
        disputes={name: summary for name, summary in case.disputes.items() if name not in disputes},
        unplaced={name: facts for name, facts in case.unplaced.items() if name not in disputes},
    )
    return judge(knowing_more(left, known(case)))


def knowing_more(case: Case, than: int) -> Case:
    """`case`, so that it knows more `than` another one in which its disputes have stood."""
    missing = than + 1 - known(case)
    return replace(case, known_before=(case.known_before or 0) + missing) if missing > 0 else case


def with_warning(case: Case, event: FraudWarned, now: datetime) -> Case:
    """`case` with `event`, heard `now` or before, among its fraud warnings."""
    known = case.warnings.get(event.event_id)
    warning = FraudWarning(
        occurred_at=event.occurred_at.astimezone(UTC),
        heard_at=known.heard_at if known else now,
        account=event.account,
        warning_id=event.warning_id,
        amount=event.amount,
        fraud_type=event.fraud_type,
        network=event.network,
        actionable=event.actionable,
    )
    return judge(replace(case, warnings=_earliest(case.warnings, {event.event_id: warning})))


def with_finding(case: Case, event: FraudFound, now: datetime) -> Case:
    """`case` with `event`, heard `now` or before, among what we say of it ourselves."""
    known, said_at = case.findings.get(event.event_id), event.occurred_at.astimezone(UTC)
    heard_at = said_at if event.found_by is Finder.REVIEW else now
    finding = FraudFinding(
        occurred_at=said_at,
        heard_at=known.heard_at if known else heard_at,
        account=event.account,
        found_by=event.found_by,
        label=event.label,
    )
    return replace(case, findings=_earliest(case.findings, {event.event_id: finding}))


def with_refund(case: Case, event: PaymentChanged) -> Case:
    """`case` with `event`, a refund or the failure of one."""
    fact = replace(payments.fact_of(event), details=payments.Details())
    return judge(_with_refunds(case, {event.event_id: fact}))


def with_captured(case: Case, captured: Money | None, known: int | None) -> Case:
    """`case` of a payment of which `captured` was captured, as follows from `known` words about it."""
    if (case.captured, case.payment_known) == (captured, known):
        return case
    return judge(replace(case, captured=captured, payment_known=known))


def merge(case: Case, other: Case) -> Case:
    """`case` and what was filed under another name of its payment."""
    if not known(replace(case, payment_known=None)):
        return replace(other, payment_id=case.payment_id)
    captured = max(case, other, key=lambda each: each.payment_known or 0)
    merged = replace(
        case,
        disputes={**other.disputes, **case.disputes},
        warnings=_earliest(case.warnings, other.warnings),
        findings=_earliest(case.findings, other.findings),
        unplaced={**other.unplaced, **case.unplaced},
        known_before=(case.known_before or 0) + (other.known_before or 0) or None,
        captured=captured.captured,
        payment_known=captured.payment_known,
    )
    if other.folded:
        before = replace(case.folded or Ledger(), incomplete=_incomplete(case) or _incomplete(other) or None)
        listed = payments.words_of(case.refunds.values())
        merged = replace(merged, folded=ledger.folded(before, ledger.unfolded(other.folded), listed, listed))
    return judge(_with_refunds(merged, other.refunds))


def judge(case: Case) -> Case:
    """`case` with its totals and flags computed anew."""
    words, rest, priced, _ = ledger.enough(case.folded, payments.words_of(case.refunds.values()))
    # What is disputed was captured: what nobody signed to be a refund or a release was a refund.
    told = totals.by_step(word._replace(step=PaymentStep.REFUNDED) if word.unproved else word for word in words)
    currency = totals.currency_of(told)[0] or priced
    sums = (totals.sums(told, currency) + rest).refunded
    refunded = sums.moved(0)
    # A provider may tell of a refund and not of its amount: that is a refund too.
    untold = sums.moved(1) != refunded
    taking = [case.disputes[id_] for id_ in sorted(case.disputes) if takes_money(case.disputes[id_])]
    disputed, _ = total_of([dispute.amount for dispute in taking if dispute.amount])
    opened = min((dispute.opened_at for dispute in case.opened.values()), default=None)
    warned = min((warning.occurred_at for warning in case.warnings.values()), default=None)
    returned = Money(refunded.minor, currency) if currency else None
    flags = {
        CaseFlag.REFUND_DISPUTE_COLLISION: (refunded.minor > 0 or untold)
        and any(_is_open(dispute) for dispute in taking)
        and not _fits(case, None if untold else returned, taking),
        CaseFlag.WARNED_BEFORE_DISPUTE: opened is not None and warned is not None and warned < opened,
        CaseFlag.SEVERAL_DISPUTES: len(case.opened) > 1,
        CaseFlag.TIMELINE_FULL: len(case.refunds) == timeline.LISTED or len(case.warnings) == timeline.LIMIT,
        CaseFlag.TOTALS_INCOMPLETE: _incomplete(case),
    }
    return replace(
        case, refunded=returned, disputed=disputed, flags=tuple(flag for flag, raised in flags.items() if raised)
    )


def known(case: Case) -> int:
    """How much `case` knows: it rises whenever anything that follows from the case changes, and never falls."""
    told = sum(dispute.facts for dispute in case.disputes.values()) + sum(case.unplaced.values())
    told += len(case.warnings) + len(case.findings)
    refunds = ledger.enough(case.folded, payments.words_of(case.refunds.values())).known
    return told + refunds + (case.payment_known or 0) + (case.known_before or 0)


def takes_money(dispute: DisputeSummary | Dispute) -> bool:
    """An inquiry only asks; a closed, prevented or finally won dispute leaves the money with us."""
    if dispute.stage is DisputeStage.INQUIRY or dispute.status in (DisputeStatus.CLOSED, DisputeStatus.PREVENTED):
        return False
    return not (dispute.status is DisputeStatus.WON and dispute.final)


def _is_open(dispute: DisputeSummary) -> bool:
    """One that was decided for the customer has taken what it takes, be it by the very refund that settled it."""
    return not (dispute.status in (DisputeStatus.LOST, DisputeStatus.ACCEPTED) and dispute.final)


def _fits(case: Case, refunded: Money | None, taking: Sequence[DisputeSummary]) -> bool:
    """Whether it is known that refunds and disputes together take no more than was captured."""
    if case.captured is None or refunded is None or _incomplete(case):
        return False
    amounts = [refunded, *(dispute.amount for dispute in taking)]
    minor = sum(amount.minor for amount in amounts if amount and amount.currency == case.captured.currency)
    return minor <= case.captured.minor and all(
        amount is not None and amount.currency == case.captured.currency for amount in amounts
    )


def _incomplete(case: Case) -> bool:
    return case.folded is not None and case.folded.incomplete is True


def _with_refunds(case: Case, told: Mapping[str, PaymentFact]) -> Case:
    for event_id, fact in told.items():
        refunds, older = timeline.newest(case.refunds, event_id, fact)
        folded = case.folded
        if folded or older:
            before, listed = payments.words_of(case.refunds.values()), payments.words_of(refunds.values())
            folded = ledger.folded(folded or Ledger(), payments.words_of(older), before, listed)
        case = replace(case, refunds=refunds, folded=folded)
    return case


def _earliest(facts: Mapping[str, Told], told: Mapping[str, Told]) -> Mapping[str, Told]:
    """Beyond the limit the earliest stay: by them a dispute was foretold."""
    for event_id, fact in told.items():
        facts, _ = timeline.add(facts, event_id, fact, lambda id_, one: (-totals.micros(one.occurred_at), id_))
    return facts
