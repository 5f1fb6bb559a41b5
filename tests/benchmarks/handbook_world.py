"""What a score could reach at best on the Handbook's transactions: one that knew how its simulator draws frauds, what each
customer usually pays (the mean of all that is genuine in the file, also of later), and until when each terminal stays taken over.

The simulator's own rules (Fraud Detection Handbook, chapter 3): every amount above 220 is fraud; two terminals a day are taken
over, and for 28 days all that is paid there is fraud; three customers a day are robbed, and for 14 days a third of what they
pay is fraud, of five times the amount. Amounts are normal around the customer's mean with half of it as deviation, and where
that would be negative, even between nothing and twice the mean.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.learning.data_set import Floats, Instants
from shared.learning.split import MICROSECONDS_A_DAY

LARGE = 220
TERMINALS_A_DAY, TAKEN_OVER_DAYS = 2, 28
CUSTOMERS_A_DAY, ROBBED_DAYS, ROBBED_PART, ROBBED_TIMES = 3, 14, 1 / 3, 5
TAKEN_OVER, ROBBED = 2, 3
"""The scenarios' numbers."""
SURE = 1e9


@dataclass(frozen=True, slots=True)
class Transactions:
    """In order of time, as the file has them. scenario: by which of its rules the simulator made it fraud; 0: it did not."""

    at: Instants
    customer: Instants
    terminal: Instants
    amount: Floats
    scenario: Instants


def read_transactions(file: Path) -> Transactions:
    import pyarrow.parquet as parquet

    names = ("TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD_SCENARIO")
    at, customer, terminal, amount, scenario = (
        column.to_numpy() for column in parquet.read_table(file, columns=list(names)).select(names).columns
    )
    return Transactions(at.astype("datetime64[us]").astype(np.int64), customer, terminal, amount, scenario)


def chances(told: Transactions, delay_days: int) -> Floats:
    """Of each transaction, how likely it is fraud by all that is known when it is made: the above, and what became of those
    before it, `delay_days` after theirs. On average no score that is told as much, or less, ranks better."""
    not_fraud = (1.0 - (told.amount > LARGE)) * (1 - _taken_over(told, delay_days)) * (1 - _robbed(told, delay_days))
    answer: Floats = 1 - not_fraud
    return answer


def _taken_over(told: Transactions, delay_days: int) -> Floats:
    """How likely the terminal is taken over: surely, where a fraud of that is known; else by how long ago it is known to
    have been free."""
    chance = np.empty(len(told.at))
    rows = list(zip(told.at.tolist(), told.terminal.tolist(), told.scenario.tolist(), strict=True))
    delay, most = delay_days * MICROSECONDS_A_DAY, TAKEN_OVER_DAYS * MICROSECONDS_A_DAY
    a_microsecond = TERMINALS_A_DAY / len(np.unique(told.terminal)) / MICROSECONDS_A_DAY
    since: dict[int, int] = {}  # terminal: its first fraud, while it is taken over
    free: dict[int, int] = {}  # terminal: when it is last known to have been free
    heard = 0
    for row, (at, terminal, scenario) in enumerate(rows):
        while rows[heard][0] <= at - delay:
            then, of, became = rows[heard]
            if became == 0:
                free[of] = max(then, free.get(of, then))
            heard += 1
        if scenario == TAKEN_OVER and at - since.setdefault(terminal, at) > most:
            since[terminal] = at
        if scenario == 0 and at - since.pop(terminal, at) >= delay:
            free[terminal] = at  # known to be over
        known = scenario == TAKEN_OVER and at - since[terminal] >= delay
        chance[row] = 1.0 if known else min(at - free.get(terminal, at - most), most) * a_microsecond
    return chance


def _robbed(told: Transactions, delay_days: int) -> Floats:
    """How likely the customer is robbed and this is of those payments, by the days on which that may have begun: those since
    then were so large, or are known to have been fraud or not."""
    customer, day = told.customer, told.at // MICROSECONDS_A_DAY
    day = day - day.min() + ROBBED_DAYS
    people, days = int(customer.max()) + 1, int(day.max()) + 1
    today = customer * days + day
    genuine = told.scenario == 0
    paid = np.bincount(customer[genuine], told.amount[genuine], people) / np.maximum(
        np.bincount(customer[genuine], minlength=people), 1
    )
    times = told.amount / np.maximum(paid, 1e-9)[customer]
    # How much likelier such an amount is of a robber than of the owner, and of either of them.
    robbers = np.minimum(_density(times / ROBBED_TIMES) / ROBBED_TIMES / _density(times), SURE)
    either = ROBBED_PART * robbers + 1 - ROBBED_PART
    became = np.where(told.scenario == ROBBED, SURE, 1 - ROBBED_PART)

    def until(evidence: Floats) -> Floats:
        """The sum of its logarithms before each day, over customers too: only differences of one's own count."""
        by_day = np.bincount(today, np.log(evidence), people * days).astype(np.float64)
        summed: Floats = np.cumsum(by_day) - by_day
        return summed

    order = np.lexsort((told.at, customer))
    before = np.empty(len(either))
    before[order] = np.cumsum(np.log(either[order])) - np.log(either[order])
    seen, heard = until(either), until(became)
    began = np.zeros(len(either))
    for ago in range(ROBBED_DAYS):
        start, known = today - ago, today - min(ago, delay_days - 1)
        began += np.exp(np.minimum(before - seen[known] + heard[known] - heard[start], np.log(SURE)))
    began *= CUSTOMERS_A_DAY / len(np.unique(customer))
    chance: Floats = began * ROBBED_PART * robbers / (1 + began * either)
    return chance


def _density(times: Floats) -> Floats:
    """Of genuine amounts, in means of their customer."""
    normal = np.exp(-0.5 * ((times - 1) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    negative = 0.02275 / 2  # two deviations below the mean, drawn again evenly up to twice of it
    answer: Floats = np.maximum(normal + negative * (times < 2), 1e-300)
    return answer
