"""Who says that a payment was fraud, and whether that still stands.

Three voices are heard: an issuer's report (Visa TC40, Mastercard SAFE); our own, a reviewer's word or a refund that was called
fraud, which counts like a report; and a dispute whose reason is fraud once it took
the money or was settled to prevent that. An inquiry asks; it does not claim, unless it ends for the customer (lost, or
accepted by us): then the money went as it does in a chargeback. The stage of a prevented dispute says nothing: providers
that tell of the same RDR name it differently.

- A dispute's claim is disproved when it is won finally, or closed because the claim was withdrawn. The latest word
  counts, by the provider's time: a claim that is opened or lost again stands again, and a win that may still be turned
  over disproves nothing.
- A report is answered by what came of the dispute. Nobody tells us that an issuer took one back, and a chargeback and
  the report beside it are one cardholder's one claim, so a report stands unless a fraud dispute of the payment was
  disproved at its time or later. To win says first that the issuer bears the loss; but what wins against "I did not do
  this" is proof that the cardholder did (Visa's compelling evidence 3.0, authentication), and to decline that
  cardholder's renewals for ever on a claim that did not hold would be the costlier mistake. A report after that stands.

Everything kept is a greatest or a least, so that any order and any repetition of the same events leaves the same.
Instants are microseconds since the epoch. `shared.fraud.point_in_time` says the same in SQL.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shared.domain.disputes import DisputeFact, FraudFinding, FraudWarning
from shared.domain.events import DisputeChanged, DisputeReason, DisputeStage, DisputeStatus, FraudFound, FraudWarned
from shared.domain.instants import microseconds

CLAIMING_STAGES = (DisputeStage.CHARGEBACK, DisputeStage.PRE_ARBITRATION, DisputeStage.ARBITRATION)
CLAIMING_STATUSES = (DisputeStatus.PREVENTED, DisputeStatus.LOST, DisputeStatus.ACCEPTED)
UNTOLD_REASON = DisputeReason.OTHER

OPEN, DISPROVED, UPHELD = range(3)
RULINGS: Mapping[DisputeStatus, int] = {
    DisputeStatus.WON: DISPROVED,
    DisputeStatus.CLOSED: DISPROVED,
    DisputeStatus.LOST: UPHELD,
    DisputeStatus.ACCEPTED: UPHELD,
}
"""What a final status says of the claim; any other, and a win that is not final, leaves it open."""

STAGES: Mapping[DisputeStage, int] = {stage: rank for rank, stage in enumerate(DisputeStage, 1)}
WORD = 16
"""A word is `at * WORD + stage * 3 + ruling`: of two at one instant the one further down the road is the later."""


_LATEST = 2**52
"""An instant after all others: of a least, what it is before that grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeClaim:
    """What was told of one dispute. fraud_at, other_at: the latest message with that reason. claimed_at: the first that
    says that the claim was made. word: the latest status. disproved_at: the latest that ever disproved it."""

    fraud_at: int | None = None
    other_at: int | None = None
    claimed_at: int | None = None
    word: int | None = None
    disproved_at: int | None = None

    @classmethod
    def of(cls, event: DisputeChanged | DisputeFact) -> "DisputeClaim":
        at = microseconds(event.occurred_at)
        fraud = event.reason is DisputeReason.FRAUD
        claimed = event.stage in CLAIMING_STAGES or event.status in CLAIMING_STATUSES
        ruling, stage = _ruling(event), STAGES[event.stage] if event.stage else 0
        return cls(
            fraud_at=at if fraud else None,
            other_at=at if not fraud and event.reason not in (None, UNTOLD_REASON) else None,
            claimed_at=at if claimed else None,
            word=at * WORD + stage * 3 + ruling if event.status else None,
            disproved_at=at if ruling == DISPROVED else None,
        )

    def joined(self, other: "DisputeClaim") -> "DisputeClaim":
        """All that both tell."""
        return DisputeClaim(
            fraud_at=_told(max, self.fraud_at, other.fraud_at),
            other_at=_told(max, self.other_at, other.other_at),
            claimed_at=_told(min, self.claimed_at, other.claimed_at),
            word=_told(max, self.word, other.word),
            disproved_at=_told(max, self.disproved_at, other.disproved_at),
        )

    @property
    def disproved(self) -> bool:
        """Whether the latest word, if any, says that the claim did not hold."""
        return self.word is not None and self.word % WORD % 3 == DISPROVED

    @property
    def made(self) -> bool:
        """Whether the cardholder ever claimed fraud in it."""
        return self.claimed_at is not None and self.fraud_at is not None

    @property
    def stands(self) -> bool:
        if self.claimed_at is None or self.fraud_at is None or self.fraud_at < (self.other_at or 0):
            return False
        return not self.disproved


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """All that is claimed of one payment. warned_from, warned_until: the first and the last report, an issuer's or our own. names: by
    which the payment is called in them, sorted."""

    warned_from: int | None = None
    warned_until: int | None = None
    disputes: Mapping[str, DisputeClaim] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @classmethod
    def of_report(cls, event: FraudWarned | FraudFound | FraudWarning | FraudFinding) -> "Claims":
        at = microseconds(event.occurred_at)
        return cls(warned_from=at, warned_until=at)

    @classmethod
    def of_dispute(cls, dispute_id: str, claim: DisputeClaim) -> "Claims":
        """Nothing, as long as no fraud was claimed in it."""
        return cls(disputes={dispute_id: claim} if claim.made else {})

    def joined(self, other: "Claims") -> "Claims":
        disputes = dict(self.disputes)
        for dispute_id, claim in other.disputes.items():
            disputes[dispute_id] = disputes.get(dispute_id, DisputeClaim()).joined(claim)
        return Claims(
            warned_from=_told(min, self.warned_from, other.warned_from),
            warned_until=_told(max, self.warned_until, other.warned_until),
            disputes=dict(sorted(disputes.items())),
            names=tuple(sorted({*self.names, *other.names})),
        )

    def called(self, names: Iterable[str]) -> "Claims":
        """These, made of a payment that is called by `names`; nothing stays nothing."""
        return self if self == Claims() else self.joined(Claims(names=tuple(names)))

    @property
    def revision(self) -> int:
        """Greater for all that more is told: of two accounts of one payment, the one with the greater is the later."""
        told = [_before(self.warned_from), self.warned_until or 0]
        for claim in self.disputes.values():
            told += [claim.fraud_at or 0, claim.other_at or 0, _before(claim.claimed_at), claim.word or 0]
            told.append(claim.disproved_at or 0)
        return sum(told)

    @property
    def known_at(self) -> int | None:
        """When fraud was first claimed; None where nothing is claimed, or nothing of it stands."""
        made = [claim for claim in self.disputes.values() if claim.made]
        disproved_at = max((at for claim in made if (at := claim.disproved_at) is not None), default=None)
        warned = self.warned_until is not None and (disproved_at is None or self.warned_until > disproved_at)
        if not warned and not any(claim.stands for claim in made):
            return None
        return min(at for at in (self.warned_from, *(claim.claimed_at for claim in made)) if at is not None)


def _ruling(event: DisputeChanged | DisputeFact) -> int:
    if event.status is None or (event.status is DisputeStatus.WON and not event.final):
        return OPEN
    return RULINGS.get(event.status, OPEN)


def _before(at: int | None) -> int:
    return 0 if at is None else _LATEST - at


def _told(which: Callable[[int, int], int], left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return which(left, right)
