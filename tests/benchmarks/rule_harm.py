"""Whom the shipped rules stop in our own world, a rule a line: `python -m tests.benchmarks rule_harm`.

150 days, of which the first 14 only give history; six disputes in ten are contested, and some are won. Both seeds were seen
before the shipped rules were chosen. Genuine is a payment of its own cardholder, whatever they say later.
"""

from datetime import timedelta

import numpy as np

from shared.domain.decisions import Outcome
from shared.domain.instants import microseconds
from shared.fraud.book import shipped_rules
from shared.fraud.expressions import compiled
from shared.fraud.features import NAMES
from shared.learning.health import Count
from tests.benchmarks.simulated_shop import BURN_IN, shop
from tests.simulator.world import THIRD_PARTY, Fraud

SEEDS = (11, 12)
CONTESTED = 0.6


def main() -> None:
    for seed in SEEDS:
        told = shop(seed, columns=NAMES, answered=CONTESTED)
        rows = told.table.at >= microseconds(told.start + timedelta(days=BURN_IN))
        pattern, accepted = told.pattern[rows], ~told.declined[rows]
        fraud = np.isin(pattern, [kind.value for kind in THIRD_PARTY])
        genuine = accepted & ~fraud & (pattern != Fraud.TRIAL_ABUSE.value)
        vectors = [
            {name: None if value != value else value for name, value in zip(NAMES, row, strict=True)}
            for row in told.table.values[rows].tolist()
        ]
        stopped = {outcome: np.zeros(len(vectors), dtype=np.bool_) for outcome in (Outcome.DECLINE, Outcome.CHALLENGE)}
        print(f"seed {seed}: {len(vectors):,} attempts, {genuine.sum():,} genuine, {fraud.sum():,} fraud")
        for rule in shipped_rules():
            condition = compiled(rule.tree)
            held = np.array([condition(vector) is True for vector in vectors], dtype=np.bool_)
            stopped[Outcome.CHALLENGE] |= held
            if rule.outcome is Outcome.DECLINE:
                stopped[Outcome.DECLINE] |= held
            share = (held & genuine).sum() / genuine.sum()
            caught, hindered = int((held & accepted & fraud).sum()), int((held & genuine).sum())
            precision = Count(of=int((held & accepted).sum()), with_it=caught).interval
            print(
                f"  {rule.code:28} {rule.outcome:9} {held.sum():6,} hits  of payments that issuers approved {caught:6,} fraud "
                f"({precision.estimate:.1%}, {precision.low:.1%} to {precision.high:.1%}) {hindered:6,} genuine ({share:.2%} of all)"
            )
        for outcome, held in stopped.items():
            harm, recall = (held & genuine).sum() / genuine.sum(), (held & fraud).sum() / fraud.sum()
            print(f"  {outcome} or harder: {harm:.3%} of genuine payments, {recall:.2%} of fraud", flush=True)
