"""What a payment turned out to be, as its disputes and its issuer's reports say it, and how that travels.

Fraud is what `shared.fraud.claims` takes for known fraud, by the same code. A dispute for another reason is a matter of
service; one that was won for good or withdrawn leaves a genuine payment. A claim of no told reason says nothing yet.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.codec import encode
from shared.domain.disputes import Case, Dispute, DisputeFact, FraudFinding, FraudWarning
from shared.domain.events import Alert, DisputeReason, DisputeStatus, Finder
from shared.domain.instants import microseconds
from shared.domain.labels import FraudLabel, LabelClass, LabelSource
from shared.flows.ports import Message
from shared.fraud.claims import UNTOLD_REASON, Claims, DisputeClaim

TOPIC = "fraud-labels"


def label_message(label: FraudLabel) -> Message:
    return Message(TOPIC, encode(label), {"provider": label.provider, "label": label.label, "source": label.source})


def label_messages(filed: Iterable[Case], rows: Iterable[tuple[Dispute, Case | None]]) -> list[Message]:
    """All labels of `told_of`."""
    return [label_message(label) for labels in told_of(filed, rows) for label in labels]


def told_of(filed: Iterable[Case], rows: Iterable[tuple[Dispute, Case | None]]) -> list[list[FraudLabel]]:
    """Payment by payment, all labels of the cases `filed`, and of those in which `rows` stand: the same ones again where
    nothing is new. rows: every dispute of a case that has one among them."""
    rows = list(rows)
    cases = {case.payment_id: case for case in [*filed, *(case for _, case in rows if case)]}
    return [
        labels_of(case, [one for one, its in rows if its and its.payment_id == payment_id])
        for payment_id, case in cases.items()
    ]


def labels_of(case: Case, disputes: Iterable[Dispute]) -> list[FraudLabel]:
    """What the payment of `case` was labeled with each word, in the order in which they were heard; `disputes` are all
    of the case. Each supersedes the one before it: as of an instant the last one known by then is the label.

    A word that changes nothing has its label too: of two that meet, the later one may be committed, and told, before the
    other is there, and has to be told anew. A reviewer's has none here: the review tells it.
    """
    claims: dict[str, DisputeClaim] = {}
    reports: dict[LabelSource, _Report] = {}
    ended, reasons = dict[str, tuple[int, DisputeStatus]](), dict[str, tuple[int, DisputeReason]]()
    labels: list[FraudLabel] = []
    words = sorted(_words(case, disputes), key=lambda one: (one.heard_at, one.event_id))
    for word in words:
        if not isinstance(word.told, DisputeFact):
            voice, report = _voice(word.told), _Report.of(word.told)
            reports[voice] = reports[voice].joined(report) if voice in reports else report
        else:
            claim = DisputeClaim.of(word.told)
            claims[word.dispute_id] = claims.get(word.dispute_id, DisputeClaim()).joined(claim)
            if claim.word is not None and word.told.status is not None:
                said = (claim.word, word.told.status)
                ended[word.dispute_id] = max(ended.get(word.dispute_id, said), said)
            if word.told.reason not in (None, UNTOLD_REASON):
                because = (microseconds(word.told.occurred_at), word.told.reason)
                reasons[word.dispute_id] = max(reasons.get(word.dispute_id, because), because)
        statuses = {dispute_id: status for dispute_id, (_, status) in ended.items()}
        meant = _meant(reports, claims, statuses, reasons)
        if meant is None or word.is_reviewers:
            continue
        labels.append(
            FraudLabel(
                label_id=f"{word.event_id}/{case.payment_id}",
                provider=case.provider,
                account=word.account,
                payment_id=case.payment_id,
                label=meant.label,
                source=meant.source,
                category=meant.category,
                occurred_at=word.told.occurred_at,
                known_at=word.heard_at,
                supersedes=labels[-1].label_id if labels else "",
                revision=len(words),
            )
        )
    return labels


@dataclass(frozen=True, slots=True)
class _Word:
    """What one event told, of a dispute or, where `told` is a report, of none."""

    heard_at: datetime
    event_id: str
    account: str
    told: DisputeFact | FraudWarning | FraudFinding
    dispute_id: str = ""

    @property
    def is_reviewers(self) -> bool:
        return isinstance(self.told, FraudFinding) and self.told.found_by is Finder.REVIEW


def _words(case: Case, disputes: Iterable[Dispute]) -> Iterator[_Word]:
    for event_id, warning in case.warnings.items():
        yield _Word(warning.heard_at or warning.occurred_at, event_id, warning.account, warning)
    for event_id, finding in case.findings.items():
        yield _Word(finding.heard_at, event_id, finding.account, finding)
    for dispute in disputes:
        # What it tells is told by that one too, or by the report that it is made of.
        if dispute.same_as is None and dispute.alert is not Alert.REPORT:
            for event_id, fact in dispute.facts.items():
                yield _Word(fact.heard_at, event_id, dispute.account, fact, dispute.dispute_id)


_VOICES = (LabelSource.REFUND, LabelSource.EARLY_FRAUD_WARNING, LabelSource.MANUAL_REVIEW)
"""Who reports fraud. Of several whose word stands the refund's counts, for there the money is gone."""


def _voice(told: FraudWarning | FraudFinding) -> LabelSource:
    if isinstance(told, FraudWarning):
        return LabelSource.EARLY_FRAUD_WARNING
    return LabelSource.REFUND if told.found_by is Finder.REFUND else LabelSource.MANUAL_REVIEW


@dataclass(frozen=True, slots=True)
class _Report:
    """What one voice says. called: what it called the payment last, and when."""

    claims: Claims
    called: tuple[int, LabelClass]

    @classmethod
    def of(cls, told: FraudWarning | FraudFinding) -> "_Report":
        label = told.label if isinstance(told, FraudFinding) else LabelClass.THIRD_PARTY_FRAUD
        return cls(Claims.of_report(told), (microseconds(told.occurred_at), label))

    def joined(self, other: "_Report") -> "_Report":
        return _Report(self.claims.joined(other.claims), max(self.called, other.called))


@dataclass(frozen=True, slots=True)
class _Meant:
    label: LabelClass
    source: LabelSource
    category: str = ""


def _meant(
    reports: Mapping[LabelSource, _Report],
    disputes: Mapping[str, DisputeClaim],
    statuses: Mapping[str, DisputeStatus],
    reasons: Mapping[str, tuple[int, DisputeReason]],
) -> _Meant | None:
    """What all that was heard comes to. statuses, reasons: the latest of each dispute that told one."""
    disputed = Claims()
    for dispute_id, claim in disputes.items():
        disputed = disputed.joined(Claims.of_dispute(dispute_id, claim))
    claimed = {dispute_id: claim for dispute_id, claim in disputes.items() if claim.claimed_at is not None}
    if frauds := [dispute_id for dispute_id, claim in claimed.items() if claim.stands]:
        source = _source(statuses.get(dispute_id) for dispute_id in frauds)
        return _Meant(LabelClass.THIRD_PARTY_FRAUD, source, DisputeReason.FRAUD)
    for voice in _VOICES:
        if (report := reports.get(voice)) and report.claims.joined(disputed).known_at is not None:
            return _Meant(report.called[1], voice)
    told = {dispute_id: claim for dispute_id, claim in claimed.items() if claim.made or claim.other_at is not None}
    if services := [dispute_id for dispute_id, claim in told.items() if not claim.disproved]:
        source = _source(statuses.get(dispute_id) for dispute_id in services)
        return _Meant(LabelClass.SERVICE, source, _latest(reasons[dispute_id] for dispute_id in services))
    if not told:
        return None
    is_won = any(statuses[dispute_id] is DisputeStatus.WON for dispute_id in told)
    source = LabelSource.DISPUTE_WON if is_won else LabelSource.DISPUTE_WITHDRAWN
    return _Meant(LabelClass.GENUINE, source, _latest(reasons[dispute_id] for dispute_id in told))


def _latest(reasons: Iterable[tuple[int, DisputeReason]]) -> DisputeReason:
    return max(reasons)[1]


def _source(statuses: Iterable[DisputeStatus | None]) -> LabelSource:
    """Of claims that stand: a dispute took the money, or all were settled to prevent one."""
    is_prevented = all(status is DisputeStatus.PREVENTED for status in statuses)
    return LabelSource.PREVENTED if is_prevented else LabelSource.DISPUTE
