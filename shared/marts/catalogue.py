"""The marts: what analysts ask, in a data set of their own, `payin_marts`, from which nobody reaches the rows below.

A view where a question's own range of days reaches the table's partitions, or where all that it reads is small; a table function
where rows of a payment lie on many days, so that the range is an argument and none can forget it. Both are computed when they are
asked: nothing is copied, nothing is stale beyond its tables, and whoever is erased there is erased here.

`python -m shared.marts.catalogue > shared/learning/sql/marts.json` writes what Terraform makes of it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from shared.disputes import table_functions
from shared.disputes.programmes import BEFORE
from shared.disputes.table_functions import TableFunction
from shared.marts import decisions, disputes, payments

NOW = "CURRENT_TIMESTAMP()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mart:
    """description: of the mart. arguments: names of instants; none of a view. body: a query as of `TableFunction`. columns: name, type (BigQuery's) and description of each; none where `shared.disputes` describes them.
    partition: the column of a view of which a question has to name a range; '' where none has to be named."""

    description: str
    arguments: tuple[str, ...]
    body: str
    columns: tuple[Mapping[str, str], ...]
    partition: str = ""


_INSTANTS = frozenset({"opened_at", "filed_at", "answered_at", "respond_by", "status_since", "oldest"})
_INSTANTS |= {"first_at", "last_at", "occurred_at", "decided_at", "fraud_reported_at"}
_NUMBERS = frozenset({"amount", "withdrawn", "returned", "cases", "at_risk", "book_revision"})
_NUMBERS |= {"authorized", "captured", "refunded", "reversed", "net"}
_TYPES = {
    **dict.fromkeys(_INSTANTS, "TIMESTAMP"),
    **dict.fromkeys(_NUMBERS, "INT64"),
    **dict.fromkeys(("score", "propensity"), "FLOAT64"),
    **dict.fromkeys(("payment_known", "final", "deadline_estimated", "asked_before", "explored"), "BOOL"),
}


def _mart(of: TableFunction, columns: Mapping[str, str], partition: str = "") -> Mart:
    described = tuple(
        {"name": name, "type": _TYPES.get(name, "STRING"), "description": what} for name, what in columns.items()
    )
    return Mart(
        description=of.description, arguments=of.arguments, body=of.body, columns=described, partition=partition
    )


_AS_IT_STANDS = {"told_since": table_functions.before(NOW, BEFORE.days), "until": NOW}

MARTS: Mapping[str, Mart] = {
    "payments": _mart(
        table_functions.of(
            "Payments first told of since then, as they stood at `until`: totals, state, what they were made with",
            payments.PAYMENTS_SQL,
            told_since=table_functions.before("since", payments.BEFORE.days),
            since="since",
            until="until",
        ),
        payments.COLUMNS,
    ),
    "disputes": _mart(
        table_functions.of(
            "Disputes and alerts of the last 540 days, each once", disputes.DISPUTES_SQL, **_AS_IT_STANDS
        ),
        disputes.COLUMNS,
    ),
    "decisions": _mart(
        table_functions.of("Fraud decisions, each once: name a range of occurred_at", decisions.DECISIONS_SQL),
        decisions.COLUMNS,
        partition="occurred_at",
    ),
    "revenue_at_risk": _mart(
        table_functions.of(
            "What open disputes and alerts may cost, as it stands", disputes.AT_RISK_SQL, **_AS_IT_STANDS
        ),
        disputes.AT_RISK_COLUMNS,
    ),
    "dispute_rates": _mart(table_functions.FUNCTIONS["dispute_rates"], {}),
    "outcome_ledger": _mart(table_functions.FUNCTIONS["outcome_ledger"], {}),
}


if __name__ == "__main__":
    print(json.dumps({name: asdict(one) for name, one in MARTS.items()}, indent=2))
