"""The page on operating says what works: every line of it is run, on what a small shop's days have left."""

import json
import re
import shlex
from pathlib import Path

import pytest

from shared.cli.codes import Code
from shared.domain.codec import to_document
from shared.flows.explain_payouts import key_of
from shared.flows.ports import Create
from shared.runtime.rule_book import manage_rules
from tests.cli.calling import payin, told
from tests.cli.shop import a_shop
from tests.cli.test_changing import give_up
from tests.cli.test_payouts import ONE as A_PAYOUT
from tests.stack.topology import ROOT

PAGE = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Operating with `payin`")[2].partition("\n## ")[0]
LINES = re.findall(r"^payin .*", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def meant(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What stands for the names in angle brackets."""
    shop = a_shop(tmp_path_factory.mktemp("operated"))
    rule = {"code": "any_amount", "outcome": "review", "sql": "amount >= 0", "state": "live"}
    call = {"act": "publish", "book": {"rules": [rule]}, "after": None, "author": "ana", "reason": "a wave"}
    manage_rules(json.dumps(call).encode(), shop.ports, shop.now)
    give_up(shop)
    shop.ports.documents.commit([Create(key_of(A_PAYOUT.name), to_document(A_PAYOUT))])
    [letters] = told(shop.home, "dead-letters", "list")
    [unread, *_] = shop.ports.warehouse.query("SELECT body FROM deliveries WHERE outcome = 'unparsed'")
    return {
        "home": str(shop.home),
        "payment": shop.payment,
        "dispute": shop.dispute,
        "order": "attempt-1",
        "unread": json.loads(unread["body"])["id"],
        "revision": "1",
        "rule": rule["code"],
        "letters": letters["fingerprint"],
        "customer": "customer-1",
        "payout": A_PAYOUT.name,
    }


def test_the_page_shows_every_command_that_reads() -> None:
    shown = {" ".join(re.findall(r"[a-z]+", line)[1:3]) for line in LINES}
    for command in (
        "find",
        "trace",
        "why",
        "deliveries list",
        "deliveries show",
        "deadlines",
        "models show",
        "rules list",
    ):
        assert any(f"{one} ".startswith(f"{command} ") for one in shown), command


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_page_does_what_it_says(line: str, meant: dict[str, str]) -> None:
    for name, value in meant.items():
        line = line.replace(f"<{name}>", value)
    _, *arguments = shlex.split(line, comments=True)
    # Lines may run by themselves, and in any order.
    if arguments[:2] == ["providers", "drain"]:
        payin(Path(meant["home"]), "providers", "park", arguments[2], "--yes", "-r", "to be drained")
    if arguments[:2] == ["lists", "remove"]:
        payin(Path(meant["home"]), "lists", "add", *arguments[2:5], "--yes", "-r", "to be removed")
    result = payin(Path(meant["home"]), *arguments)
    assert (result.exit_code, bool(result.stdout.strip())) == (0, True), result.output


def test_the_page_says_with_what_it_ends() -> None:
    codes = {int(found) for found in re.findall(r"\b(\d+) where\b", PAGE)}
    assert codes == {code.value for code in Code} - {Code.DONE, Code.BROKEN}
