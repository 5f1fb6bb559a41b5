"""Whom the shipped rules stop in our own world, a rule a line, and whom the score alone does: `python -m tests.benchmarks rule_harm`.

150 days, of which the first 14 only give history; six disputes in ten are contested, and some are won. Both seeds were seen
before the shipped rules were chosen. Genuine is a payment of its own cardholder, whatever they say later.

The score is of a model as training makes it: fitted on the accepted payments of days 14 to 60, calibrated and its limits
put within the capacity on days 60 to 70, with what was told before day 100; what it would have answered is counted from there
on, with the rules beside it.
"""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from shared.domain.counts import Count
from shared.domain.decisions import Outcome
from shared.domain.instants import microseconds
from shared.flows.train_model import COLUMNS
from shared.fraud.book import shipped_rules
from shared.fraud.features import LONG_TAILED, NAMES
from shared.fraud.policy import SEVERITY, Capacity, Costs, Thresholds, cheapest, within_capacity
from shared.learning.data_set import Flags, Table
from shared.learning.fit import calibrated, calibration, fit
from shared.learning.request import TrainingRequest
from tests.benchmarks.fraud_quality import thinned
from tests.benchmarks.labeled_data import Names
from tests.benchmarks.simulated_shop import BURN_IN, TESTED_FROM, TRAINED_UNTIL, Shop, hits, shop, vectors
from tests.simulator.world import THIRD_PARTY, Fraud

SEEDS = (11, 12)
CONTESTED = 0.6
CALIBRATED_FROM = 60

HARDER = SEVERITY[1:]


def main() -> None:
    for seed in SEEDS:
        told = shop(seed, columns=NAMES, answered=CONTESTED)
        rows = since(told, BURN_IN)
        fraud, genuine = truth(told)
        print(
            f"seed {seed}: {rows.sum():,} attempts, {(rows & genuine).sum():,} genuine, {(rows & fraud).sum():,} fraud"
        )
        stopped = by_rules(told, rows)
        show("rules", {outcome: held[rows] for outcome, held in stopped.items()}, fraud[rows], genuine[rows])
        limits, scored = by_score(told)
        tested = since(told, TESTED_FROM)
        print(
            f"  from day {TESTED_FROM} on, limits {limits.challenge:.3f}, {limits.review:.3f}, {limits.decline:.3f}: "
            f"{(tested & genuine).sum():,} genuine, {(tested & fraud).sum():,} fraud"
        )
        both = {outcome: stopped[outcome] | scored[outcome] for outcome in HARDER}
        for name, by in (("rules", stopped), ("score", scored), ("both", both)):
            show(name, {outcome: held[tested] for outcome, held in by.items()}, fraud[tested], genuine[tested])
            by_kind(name, by[Outcome.CHALLENGE][tested], told.pattern[tested])


def since(told: Shop, day: int) -> Flags:
    answer: Flags = told.table.at >= microseconds(told.start + timedelta(days=day))
    return answer


def truth(told: Shop) -> tuple[Flags, Flags]:
    """Third-party fraud, whether its issuer accepted it or not; and genuine payments that an issuer accepted."""
    fraud = np.isin(told.pattern, [kind.value for kind in THIRD_PARTY])
    return fraud, ~told.declined & ~fraud & (told.pattern != Fraud.TRIAL_ABUSE.value)


def by_rules(told: Shop, rows: Flags) -> Mapping[Outcome, Flags]:
    """What the shipped rules answer, or harder; each of them shown on `rows`."""
    asked = vectors(told.table)
    fraud, genuine = truth(told)
    stopped = {outcome: np.zeros(len(asked), dtype=np.bool_) for outcome in HARDER}
    for rule in shipped_rules():
        hit = hits(rule, asked)
        for outcome in HARDER[: HARDER.index(rule.outcome) + 1]:
            stopped[outcome] |= hit
        hit &= rows
        accepted = hit & ~told.declined
        caught, hindered = int((accepted & fraud).sum()), int((hit & genuine).sum())
        precision = Count(of=int(accepted.sum()), with_it=caught).interval
        share = hindered / (genuine & rows).sum()
        print(
            f"  {rule.code:28} {rule.outcome:9} {hit.sum():6,} hits  of {accepted.sum():,} payments that issuers approved {caught:6,} fraud "
            f"({precision.estimate:.1%}, {precision.low:.1%} to {precision.high:.1%}) {hindered:6,} genuine ({share:.2%} of all)  "
            f"of {(hit & told.declined).sum():,} that they refused {(hit & told.declined & fraud).sum():,} fraud"
        )
    return stopped


def by_score(told: Shop) -> tuple[Thresholds, Mapping[Outcome, Flags]]:
    """What a model's limits answer, or harder, whatever rules say."""
    places = [NAMES.index(name) for name in COLUMNS]
    whole = Table(COLUMNS, told.table.values[:, places], told.table.fraud, told.table.at, told.table.weight)
    accepted = ~told.declined
    calibrated_from, burnt, trained = (since(told, day) for day in (CALIBRATED_FROM, BURN_IN, TRAINED_UNTIL))
    later = whole.part(accepted & calibrated_from & ~trained)
    fitted = fit(thinned(whole.part(accepted & burnt & ~calibrated_from)), LONG_TAILED, TrainingRequest())
    by = calibration(fitted.raw(later.values), later.fraud, later.weight, 1.0)
    asked = calibrated(fitted.raw(later.values), by)
    limits = within_capacity(cheapest(Costs()), zip(asked.tolist(), later.weight.tolist(), strict=True), Capacity())
    score = calibrated(fitted.raw(whole.values), by)
    return limits, {
        Outcome.CHALLENGE: score >= limits.challenge,
        Outcome.REVIEW: score >= limits.review,
        Outcome.DECLINE: score >= limits.decline,
    }


def by_kind(name: str, held: Flags, pattern: Names) -> None:
    parts = (f"{kind.value} {held[pattern == kind.value].mean():.3f}" for kind in Fraud)
    print(f"  by {name:5} not approved, of each kind: {', '.join(parts)}")


def show(name: str, stopped: Mapping[Outcome, Flags], fraud: Flags, genuine: Flags) -> None:
    for outcome, held in stopped.items():
        harm = Count(of=int(genuine.sum()), with_it=int((held & genuine).sum())).interval
        recall = (held & fraud).sum() / fraud.sum()
        print(
            f"  by {name:5} {outcome:9} or harder: {harm.estimate:.3%} ({harm.low:.3%} to {harm.high:.3%}) of genuine payments, "
            f"{recall:.2%} of fraud",
            flush=True,
        )
