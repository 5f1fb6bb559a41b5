"""Questions of the warehouse that people ask, as table functions of BigQuery: the SQL that is tested on both warehouses, with
its parameters in terms of the function's own.

`python -m shared.disputes.table_functions > shared/learning/sql/functions.json` writes what Terraform makes of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from shared.disputes.at_risk import AT_RISK_SQL, DAYS, OPEN_SINCE, PEOPLE, PLATFORM
from shared.disputes.dispute_rates import RATES_SQL
from shared.disputes.outcome_ledger import LEDGER_SQL
from shared.disputes.programmes import BEFORE

_PARAMETER = re.compile(r"@(\w+)")
_TABLE = re.compile(r"\bFROM (dispute_updates|payment_events|fraud_decisions)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFunction:
    """arguments: names of instants. body: a query, each table as `{dataset}.<table>` in backquotes, and `{test_data}`
    TRUE where all data is test data, FALSE where it is left out."""

    description: str
    arguments: tuple[str, ...]
    body: str


def of(description: str, sql: str, **parameters: str) -> TableFunction:
    """A query as a table function. parameters: what stands for each of those of `sql`; its arguments are those that stand for themselves or for the instant
    as of which is asked."""
    stands_for = {"test_data": "{test_data}", **parameters}
    sql = _PARAMETER.sub(lambda found: stands_for[found[1]], sql)
    sql = _TABLE.sub(lambda found: f"FROM `{{dataset}}.{found[1]}`", sql)
    arguments = tuple(dict.fromkeys(name for name in parameters.values() if name.isidentifier()))
    return TableFunction(description=description, arguments=arguments, body=sql)


def before(instant: str, days: int) -> str:
    return f"TIMESTAMP_SUB({instant}, INTERVAL {days} DAY)"


RANGE = {"told_since": before("since", BEFORE.days), "since": "since", "until": "until"}

FUNCTIONS: Mapping[str, TableFunction] = {
    "outcome_ledger": of(
        "Outcomes and money of disputes whose state holds since then, by month, provider, account, reason, who answered, currency",
        LEDGER_SQL,
        **RANGE,
    ),
    "dispute_rates": of(
        "How often payments are disputed, by the month of the payment and by that of the dispute", RATES_SQL, **RANGE
    ),
    "deadlines_at_risk": of(
        "Open disputes that will miss their deadline at the pace at which answers are given, and why",
        AT_RISK_SQL,
        told_since=before("as_of", OPEN_SINCE.days),
        until="as_of",
        week=before("as_of", DAYS[PEOPLE]),
        day=before("as_of", DAYS[PLATFORM]),
    ),
}


if __name__ == "__main__":
    print(json.dumps({name: asdict(one) for name, one in FUNCTIONS.items()}, indent=2))
