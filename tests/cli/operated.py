"""A small shop's folder in which each thing is that a page or an alert names in angle brackets."""

import json
from pathlib import Path

from shared.domain.codec import to_document
from shared.flows.explain_payouts import STATE, key_of
from shared.flows.ports import Create
from shared.flows.watch_traffic import watch_traffic
from shared.runtime.rule_book import manage_rules
from tests.builders import DAY
from tests.cli.calling import told
from tests.cli.shop import LATER, a_shop, count
from tests.cli.test_changing import give_up
from tests.cli.test_payouts import ONE as A_PAYOUT
from tests.cli.test_payouts import OWED


def operated(folder: Path) -> dict[str, str]:
    """What stands for the names in angle brackets, and `home`, the folder in which they are."""
    shop = a_shop(folder)
    owned = {"owner": "risk", "reason": "a wave"}
    rule = {"code": "any_amount", "outcome": "review", "sql": "amount >= 0", "state": "live", **owned}
    call = {"act": "publish", "book": {"rules": [rule]}, "after": None, "author": "ana", "reason": "a wave"}
    manage_rules(json.dumps(call).encode(), shop.ports, shop.now)
    give_up(shop)
    watch_traffic(shop.ports, shop.now + LATER)
    count(shop.ports, "stripe", "charge.updated", shop.now - DAY)
    shop.ports.documents.commit(
        [Create(key_of(A_PAYOUT.name), to_document(A_PAYOUT)), Create(STATE, to_document(OWED))]
    )
    [letters] = told(shop.home, "dead-letters", "list")
    [unread, *_] = shop.ports.warehouse.query("SELECT body FROM deliveries WHERE outcome = 'unparsed'")
    return {
        "home": str(shop.home),
        "provider": "stripe",
        "payment": shop.payment,
        "dispute": shop.dispute,
        "order": "attempt-1",
        "unread": json.loads(unread["body"])["id"],
        "revision": "1",
        "rule": rule["code"],
        "letters": letters["fingerprint"],
        "customer": "customer-1",
        "job": "check_deadlines",
        "payout": A_PAYOUT.name,
    }


def filled_in(line: str, meant: dict[str, str]) -> str:
    for name, value in meant.items():
        line = line.replace(f"<{name}>", value)
    return line
