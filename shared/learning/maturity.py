"""How long fraud takes to be known, and so what it means that a payment is not known for one.

Frauds that are not known yet are not in the rows: of payments of last week only what is told quickly is seen. So delays are
counted backwards (the product-limit estimate in reverse time, for right-truncated data: Lagakos, Barraj & De Gruttola 1988):
of the frauds known by an age, among payments that are at least that old, which part became known at that very age. Each
source has its own curve, an issuer's report within days and a chargeback within weeks, where it has enough frauds to tell.

All is relative to what is known at `watched_days`, by when a network lets nobody claim any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.learning.data_set import Flags, Floats, Instants

MICROSECONDS_A_DAY = 86_400_000_000

LEAST_WATCHED = 30
"""Frauds older than what is watched, below which nothing is said of delays."""

LEAST_KNOWN = 0.1
"""Where less of fraud is known by an age, payments of that age teach nothing: a few frauds would stand for many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maturity:
    """known: by age in whole days, the part of the frauds that are known by then; 1 from the last on. by_source: likewise
    of each source. mature_days: from this age on no news means that a payment is genuine. counted: frauds that tell; 0:
    too few are old enough, and only `mature_days`, which an operator set, is believed."""

    known: Floats
    by_source: Mapping[str, Floats]
    mature_days: int
    counted: int

    def known_at(self, age_days: Instants) -> Floats:
        """The part of fraud that is known of payments of each age."""
        return np.asarray(self.known[np.clip(age_days, 0, len(self.known) - 1)])

    def taught_by(self, fraud: Flags, age_days: Instants, chance: Floats) -> Flags:
        """Which payments are learned from. chance: of each, a number between 0 and 1 that is drawn once for all.

        All that are mature. Of younger ones every known fraud, and of the others such a part as of their age's frauds is
        known: so a young day has as many genuine payments to a known fraud as it has in the end, whatever its age, and
        what is to be learned of the odds does not depend on when one looks.
        """
        known = self.known_at(age_days)
        young = (known >= LEAST_KNOWN) & (fraud | (chance < known))
        return np.asarray((age_days >= self.mature_days) | young)


def maturity(
    delay_days: Instants,
    age_days: Instants,
    sources: Sequence[str],
    *,
    watched_days: int,
    mature_days: int,
    complete: float,
) -> Maturity:
    """What the known frauds tell: how old each payment was when its fraud became known and how old it is, and whose word it
    was. complete: the part of fraud that is known of payments that count as mature. mature_days: taken where fewer than
    `LEAST_WATCHED` frauds are of payments older than `watched_days` and were known by that age.

    The order of the frauds does not matter.
    """
    of, within = np.array(sources), (delay_days <= watched_days) & (delay_days <= age_days)
    # What was heard later than anything is watched for (labels that were brought along from elsewhere) tells of no delay.
    if int((within & (age_days >= watched_days)).sum()) < LEAST_WATCHED:
        known = np.append(np.zeros(mature_days), 1.0)
        return Maturity(known=known, by_source={}, mature_days=mature_days, counted=0)
    whole = _curve(delay_days[within], age_days[within], watched_days)
    owns = {source: within & (of == source) for source in sorted(set(sources))}
    curves = {
        source: _curve(delay_days[own], age_days[own], watched_days)
        for source, own in owns.items()
        if int((own & (age_days >= watched_days)).sum()) >= LEAST_WATCHED
    }
    # How much each source says in the end: each of its frauds stands for those of its payment's age that are not known yet.
    # Of payments at which a slow source says next to nothing yet, none counts, or the slow one would be too few.
    each = {source: curves.get(source, whole) for source in owns}
    from_day = max(int(np.searchsorted(curve, LEAST_KNOWN)) for curve in each.values())
    weights = {
        source: float(np.sum(1.0 / curve[np.clip(age_days[owns[source] & (age_days >= from_day)], 0, watched_days)]))
        for source, curve in each.items()
    }
    shares = {source: weight / sum(weights.values()) for source, weight in weights.items()}
    known = sum((share * each[source] for source, share in shares.items()), np.zeros(watched_days + 1))
    known[-1] = 1.0
    return Maturity(
        known=known,
        by_source=curves,
        mature_days=int(np.searchsorted(known, complete)),
        counted=int(within.sum()),
    )


def _curve(delay_days: Instants, age_days: Instants, watched_days: int) -> Floats:
    """The part known by each age from 0 to `watched_days`, of what is known by the last."""
    days = np.arange(watched_days + 1)
    newly = np.bincount(delay_days, minlength=watched_days + 1)
    # Known by a day, of payments at least so old: those known by then less those of younger payments, which all are.
    younger = np.bincount(np.clip(age_days, 0, watched_days + 1), minlength=watched_days + 2)
    there = np.cumsum(newly) - np.append(0, np.cumsum(younger))[days]
    stayed = 1.0 - np.divide(newly, there, out=np.zeros(watched_days + 1), where=there > 0)
    # What is known by the day before is what is known by this one less the part that this one brought.
    return np.append(np.cumprod(stayed[:0:-1])[::-1], 1.0)
