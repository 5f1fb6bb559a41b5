"""What nights of training came to, and of which of them somebody must hear.

That no newer model follows the champion is ordinary on one night: the two are of nearly the same payments, and which of them is
better is chance. It is not when the new one is worse beyond chance (both were asked of the same rows, so that data or
code is broken), or when nothing passes on `IN_A_ROW` nights. It stands in a document and not in a log alone, for a night may
be a job of its own, whose log no metric counts.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from shared.domain.codec import from_document
from shared.domain.telemetry import alarm
from shared.domain.timeline import compact
from shared.flows.champions import TRAINED
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.ports import Documents, Snapshot

IN_A_ROW: Final = 7
"""Nights on which the gate refused what was learned, one after the other; told of again when as many more have followed."""

LATEST: Final = timedelta(days=2)
"""For so long a night that was a job is told of by the next tick; later `training_stands_still` tells of another trouble."""


class Verdict(StrEnum):
    """What a night came to."""

    LACKING = "lacking"  # too little to learn from or to judge by
    PASSED = "passed"  # the gate had nothing to object to, whether the model decides or an operator's pin keeps it out
    REFUSED = "refused"  # not worth its reasons, or it cannot be told that it is no worse than the champion
    WORSE = "worse"  # than the champion on the same payments, beyond chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A training that came to its end. trained_at: as of when it learned, or one that was asked for beside it since. night:
    as of when itself did. refused: on how many nights one after the other the gate refused, this one the last; those of too
    little data count neither way. counted: the last of those nights. told: somebody was called for this one. digest: of the
    model that was judged."""

    trained_at: datetime
    night: datetime | None = None
    verdict: Verdict | None = None
    refused: int = 0
    counted: datetime | None = None
    told: bool = False
    digest: str | None = None
    objections: str = ""
    payments: int = 0
    frauds: int = 0

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> "Night | None":
        return from_document(snapshot.document, cls) if snapshot else None

    def after(self, before: "Night | None") -> "Night":
        """This night with those that were refused until then. The same night again counts once, and is news where it came to
        something else."""
        earlier, counted = (before.refused, before.counted) if before else (0, None)
        told = before is not None and before.told and before.verdict is self.verdict and _same(before.night, self.night)
        match self.verdict:
            case Verdict.PASSED:
                return replace(self, refused=0, counted=None, told=told)
            case Verdict.REFUSED | Verdict.WORSE:
                refused = earlier if _same(counted, self.night) else earlier + 1
                return replace(self, refused=refused, counted=self.night, told=told)
            case Verdict.LACKING | None:
                return replace(self, refused=earlier, counted=counted, told=told)
            case _:
                assert_never(self.verdict)

    @property
    def calls(self) -> bool:
        """Whether somebody must hear of it: it is no ordinary one."""
        return self.verdict in (Verdict.LACKING, Verdict.WORSE) or self._in_a_row

    @property
    def _in_a_row(self) -> bool:
        return self.verdict is Verdict.REFUSED and self.refused > 0 and self.refused % IN_A_ROW == 0

    def tell(self) -> None:
        """Alarm for a night that `calls`."""
        if self.verdict is Verdict.LACKING:
            alarm("training_refused", reason=self.objections, payments=self.payments, frauds=self.frauds)
        else:
            alarm(
                "model_refused",
                reason="in_a_row" if self._in_a_row else "worse",
                nights=self.refused,
                objections=self.objections,
                digest=self.digest,
            )


def _same(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one.date() == other.date()


def remember(documents: Documents, trained: Night) -> Night:
    """Keep what training came to, unless a later night is known. Answers it with its place in the row."""

    def effect(seen: Seen) -> Effect[Night]:
        before = Night.of(seen[TRAINED])
        if before is None:
            after = trained.after(None)
        elif before.night and trained.night and before.night > trained.night:
            return Effect(trained)
        else:
            newer = before if trained.night is None else trained.after(before)
            after = replace(newer, trained_at=max(before.trained_at, trained.trained_at))
        return Effect(after, [] if after == before else [write(TRAINED, seen[TRAINED], compact(after))])

    return change(documents, [TRAINED], effect)


def tell_last(documents: Documents, now: datetime) -> None:
    """Tell of the last night, once, where it is no ordinary one: told by the function, whether it trained itself or a job did,
    whose own log no metric counts."""
    [found] = documents.get([TRAINED])
    night = Night.of(found)
    if night is None or night.night is None or now - night.night > LATEST or night.told or not night.calls:
        return
    # Told before it is noted: who breaks off in between tells it again, and nobody is left uncalled.
    night.tell()

    def noted(seen: Seen) -> Effect[None]:
        last = Night.of(seen[TRAINED])
        if last is None or (last.night, last.verdict) != (night.night, night.verdict):
            return Effect(None)  # another one by now, of which nobody has heard
        return Effect(None, [write(TRAINED, seen[TRAINED], compact(replace(last, told=True)))])

    change(documents, [TRAINED], noted)
