"""What a payment's case adds up to: its disputes, fraud warnings and refunds, side by side."""

from dataclasses import replace
from datetime import UTC

from shared.disputes import lifecycle
from shared.domain import payments, timeline
from shared.domain.disputes import Case, CaseFlag, Dispute, DisputeSummary, FraudWarning
from shared.domain.events import DisputeStage, DisputeStatus, FraudWarned, PaymentChanged, PaymentStep
from shared.domain.money import Money, total_of


def with_dispute(case: Case, dispute: Dispute) -> Case:
    """`case` with `dispute` as the provider tells it; what we did about it is no part of the case."""
    if dispute.first_at is None:
        return case
    summary = DisputeSummary(
        opened_at=dispute.first_at,
        facts=lifecycle.told(dispute.facts.values()),
        stage=dispute.stage,
        status=dispute.told_status,
        final=dispute.final,
        amount=dispute.amount,
    )
    return judge(replace(case, disputes={**case.disputes, dispute.dispute_id: summary}))


def with_warning(case: Case, event: FraudWarned) -> Case:
    """`case` with `event` among its fraud warnings."""
    warning = FraudWarning(
        occurred_at=event.occurred_at.astimezone(UTC),
        warning_id=event.warning_id,
        amount=event.amount,
        fraud_type=event.fraud_type,
        network=event.network,
        actionable=event.actionable,
    )
    warnings, _ = timeline.add(case.warnings, event.event_id, warning, lambda id_, fact: (fact.occurred_at, id_))
    return judge(replace(case, warnings=warnings))


def with_refund(case: Case, event: PaymentChanged) -> Case:
    """`case` with `event`, a refund or the failure of one."""
    fact = replace(payments.fact_of(event), details=payments.Details())
    refunds, _ = timeline.add(case.refunds, event.event_id, fact, lambda id_, fact: (fact.occurred_at, id_))
    return judge(replace(case, refunds=refunds))


def merge(case: Case, other: Case) -> Case:
    """`case` and what was filed under another name of its payment."""
    return judge(
        replace(
            case,
            disputes={**other.disputes, **case.disputes},
            warnings={**other.warnings, **case.warnings},
            refunds={**other.refunds, **case.refunds},
        )
    )


def judge(case: Case) -> Case:
    """`case` with its totals and flags computed anew."""
    refunds = sorted(case.refunds.items(), key=lambda item: (item[1].occurred_at, item[0]))
    currencies = [fact.amount.currency for _, fact in refunds if fact.amount]
    currency = currencies[0] if currencies else None
    facts = [fact for _, fact in refunds]
    minor = payments.total(facts, PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED, currency)
    failed = {fact.reference for fact in facts if fact.step is PaymentStep.REFUND_FAILED}
    # A provider may tell of a refund and not of its amount: that is a refund too.
    untold = any(
        fact.step is PaymentStep.REFUNDED and not fact.amount and fact.reference not in failed for fact in facts
    )
    taking = [case.disputes[id_] for id_ in sorted(case.disputes) if _takes_money(case.disputes[id_])]
    disputed, _ = total_of([dispute.amount for dispute in taking if dispute.amount])
    opened = min((dispute.opened_at for dispute in case.disputes.values()), default=None)
    warned = min((warning.occurred_at for warning in case.warnings.values()), default=None)
    flags = {
        CaseFlag.REFUND_DISPUTE_COLLISION: bool(taking) and (minor > 0 or untold),
        CaseFlag.WARNED_BEFORE_DISPUTE: opened is not None and warned is not None and warned < opened,
        CaseFlag.SEVERAL_DISPUTES: len(case.disputes) > 1,
    }
    return replace(
        case,
        refunded=Money(minor, currency) if currency else None,
        disputed=disputed,
        flags=tuple(flag for flag, raised in flags.items() if raised),
    )


def _takes_money(dispute: DisputeSummary) -> bool:
    """An inquiry only asks; a closed, prevented or finally won dispute leaves the money with us."""
    if dispute.stage is DisputeStage.INQUIRY or dispute.status in (DisputeStatus.CLOSED, DisputeStatus.PREVENTED):
        return False
    return not (dispute.status is DisputeStatus.WON and dispute.final)
