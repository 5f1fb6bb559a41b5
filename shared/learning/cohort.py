"""How decisions did, as far as their labels tell by now; and what two models that were asked beside each other would have
done. A payment of which nothing is known yet counts as genuine, so that precision rises with age; recall is of the frauds that
are known."""

from dataclasses import dataclass

import numpy as np

from shared.learning.compare import Interval, average_precision, draws, interval_of, money_of
from shared.learning.data_set import Flags, Floats, Table

RESAMPLES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """precision: the part of the payments not approved that is fraud. recall: the part of the frauds that was not approved;
    money: of their money. average_precision: of the scores, None where payments were judged without one."""

    precision: Interval
    recall: Interval
    money: Interval
    average_precision: Interval | None


def performance(of: Table, stopped: Flags, score: Floats, seed: int) -> Performance | None:
    """Of decisions on the rows of `of`, which has an `amount`. stopped: not approved. score: NaN where there is none. None
    where fraud or genuine payments are missing, or nothing was stopped."""
    if not 0 < of.frauds < len(of) or not stopped.any():
        return None
    drawn, lost = draws(of, seed, RESAMPLES), money_of(of)
    found = stopped & of.fraud

    def part(one: Flags, whole: Flags, worth: Floats | None = None) -> Interval:
        def measure(weight: Floats) -> float:
            by = weight if worth is None else weight * worth
            return float(by[one].sum()) / all_of if (all_of := float(by[whole].sum())) else 0.0

        return interval_of(measure(of.weight), [measure(weight) for weight in drawn])

    scored = ~np.isnan(score)
    judged = of.part(scored)
    return Performance(
        precision=part(found, stopped),
        recall=part(found, of.fraud),
        money=part(found, of.fraud, lost),
        average_precision=average_precision(score[scored], judged, seed, RESAMPLES)
        if 0 < judged.frauds < len(judged)
        else None,
    )
