"""A decision is explained by what made it, and tried by another."""

import json
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from shared.flows.assess_payment import Assessor
from shared.flows.champions import Champion, Line, with_line
from shared.flows.ports import Create
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS
from shared.fraud.features import SCHEMA_VERSION
from shared.runtime.rule_book import manage_rules
from tests.builders import an_assessment
from tests.cli.calling import payin, told
from tests.cli.shop import Shop, a_shop
from tests.fraud.forests import THRESHOLDS, artifact, fitted
from tests.providers.kits import NOON, a_fact, an_attempt
from tests.simulator.facts import FactKind

OWN = {"owner": "ana", "reason": "a wave"}
ANY = {"code": "any_amount", "outcome": "review", "sql": "amount >= 0", "state": "live", **OWN}
SHADOW = {"code": "cheap", "outcome": "decline", "sql": "amount < 100000", "state": "shadow", **OWN}
BLOCKED = {
    "action": "block",
    "kind": "email_domain",
    "value": "music.example",
    "until": "2027-01-01T00:00:00Z",
    **OWN,
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Two payments of one customer, judged by a champion and by revision 1; revision 2 blocks their domain, and stands."""
    shop = Shop(tmp_path_factory.mktemp("judged"), scorer=Scorer())
    digest = shop.ports.models.store(artifact(COLUMNS, fitted(COLUMNS, rows=1500, iterations=5)))
    champion = Champion(digest=digest, since=NOON, quality={"average_precision": 0.5})
    shop.ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, Line(current=champion)))])
    publish(shop, {"rules": [ANY, SHADOW]}, after=None)
    shop.happens(FactKind.CAPTURED)
    shop.happens(FactKind.CAPTURED, attempt=an_attempt(id="attempt-2"))
    publish(shop, {"rules": [ANY], "entries": [BLOCKED]}, after=1)
    return shop


def publish(shop: Shop, book: dict[str, Any], after: int | None) -> None:
    call = {"act": "publish", "book": book, "after": after, "author": "ana", "reason": "a wave"}
    manage_rules(json.dumps(call).encode(), shop.ports, shop.now)


def test_a_decision_says_what_rules_and_model_each_said_and_that_it_would_be_made_again(judged: Shop) -> None:
    why = told(judged.home, "why", "attempt-2")
    decision = why["decision"]
    assert (decision["outcome"], decision["book_revision"]) == ("review", 1)
    assert (why["by_rules"], why["recomputed"]) == ("review", True)
    score = decision["score"]
    by_score = [name for name, floor in THRESHOLDS.items() if score >= floor]
    assert why["by_model"] == (by_score or ["approve"])[-1]
    assert [(rule["code"], rule["live"], rule["sql"]) for rule in why["rules"]] == [
        ("any_amount", True, "amount >= 0"),
        ("cheap", False, "amount < 100000"),
    ]
    assert {reason["source"] for reason in why["reasons"]} <= {"rule", "model"}
    assert all(reason["weight"] for reason in why["reasons"] if reason["source"] == "model")


def test_features_are_told_with_how_long_before_their_entity_was_last_seen(judged: Shop) -> None:
    why = told(judged.home, "why", "attempt-2")
    known = {one["name"]: one for one in why["known"]}
    assert (known["amount"]["value"], known["amount"]["entity"], known["amount"]["freshness"]) == (1999, None, None)
    card = known["card_payments_24h"]
    assert (card["value"], card["entity"], card["freshness"]) == (1, "card", "PT1S")
    first = {one["name"]: one for one in told(judged.home, "why", "attempt-1")["known"]}
    assert (first["card_payments_24h"]["value"], first["card_payments_24h"]["freshness"]) == (None, None)
    shown = payin(judged.home, "why", "attempt-2").stdout
    assert "1.0 s" in shown
    assert "the same to the byte" in shown


@pytest.mark.parametrize(
    ("asked", "outcome", "revision", "has_model", "changed"),
    [
        (("--rules", "shipped", "--model", "none"), "approve", None, False, True),
        (("--rules", "1"), "review", 1, True, False),
        (("--rules", "standing"), "decline", 2, True, True),
        (("--model", "champion"), "review", 1, True, False),
    ],
)
def test_the_same_payment_is_tried_by_other_rules_and_another_model(
    judged: Shop, asked: tuple[str, ...], outcome: str, revision: int | None, has_model: bool, changed: bool
) -> None:
    why = told(judged.home, "why", "attempt-2", "--what-if", *asked)
    other = why["otherwise"]
    assert (other["outcome"], other["book_revision"], other["changed"]) == (outcome, revision, changed)
    assert (other["model_digest"] is not None) is has_model
    # Nothing was decided anew.
    assert told(judged.home, "why", "attempt-2")["decision"] == why["decision"]


def test_what_would_be_said_instead_is_told(judged: Shop) -> None:
    other = told(judged.home, "why", "attempt-2", "--what-if", "--rules", "standing")["otherwise"]
    assert [(one["source"], one["code"]) for one in other["new"]] == [("list", "block_email_domain")]
    other = told(judged.home, "why", "attempt-2", "--what-if", "--rules", "shipped", "--model", "none")["otherwise"]
    assert ("rule", "any_amount") in {(one["source"], one["code"]) for one in other["gone"]}
    shown = payin(judged.home, "why", "attempt-2", "--what-if", "--rules", "shipped", "--model", "none").stdout
    assert "approve, instead of review" in shown


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("--what-if",), 2, ""),
        (("--rules", "1"), 2, ""),
        (("--what-if", "--rules", "9"), 65, "no revision 9"),
        (("--what-if", "--rules", "ours"), 65, "no book"),
        (("--what-if", "--model", "challenger"), 65, "no challenger"),
        (("--what-if", "--model", "abc"), 65, "no model"),
        (("--what-if", "--model", "0" * 64), 78, ""),
    ],
)
def test_what_cannot_be_tried_is_named(judged: Shop, asked: tuple[str, ...], code: int, says: str) -> None:
    result = payin(judged.home, "why", "attempt-2", *asked)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr


def test_a_model_that_asks_what_was_never_recorded_is_refused_with_what_it_asks(judged: Shop) -> None:
    columns = ("never_recorded", *COLUMNS[1:])
    digest = judged.ports.models.store(artifact(columns, fitted(columns, rows=1500, iterations=5)))
    result = payin(judged.home, "why", "attempt-2", "--what-if", "--model", digest)
    assert (result.exit_code, result.stdout) == (65, "")
    assert "stored no feature 'never_recorded'" in result.stderr


def test_of_a_dispute_the_decision_on_its_payment_is_explained(shop: Shop, home: Path) -> None:
    assert told(home, "why", shop.dispute) == told(home, "why", shop.payment)


def test_of_what_is_no_payment_and_of_what_nobody_decided_that_is_said(tmp_path: Path) -> None:
    shop = a_shop(tmp_path)
    [unread, *_] = told(shop.home, "deliveries", "list", "--outcome", "unparsed")
    result = payin(shop.home, "why", unread["delivery_id"])
    assert (result.exit_code, "of which nothing is decided" in result.stderr) == (3, True)
    shop.tell(a_fact(FactKind.CAPTURED, an_attempt(id="attempt-3")))
    shop.run("score_payment")
    result = payin(shop.home, "why", "attempt-3")
    assert (result.exit_code, "nobody decided" in result.stderr) == (3, True)


def test_what_was_asked_before_authorisation_is_one_story_with_its_payment(tmp_path: Path) -> None:
    shop = Shop(tmp_path, scorer=Scorer(use_model=False))
    asked = an_assessment(
        provider="stripe", request_id="r-1", merchant_reference="attempt-1", card=None, occurred_at=NOON
    )
    assessor = Assessor(lambda: shop.ports, shop.scorer, {}, 2)
    assessor.assess(asked, NOON, monotonic() + 60)
    before = told(shop.home, "why", "r-1")
    assert (before["decision"]["request_id"], before["payment_id"]) == ("r-1", "request:r-1")
    assert told(shop.home, "trace", "request:r-1")["kind"] == "payment"
    shop.happens(FactKind.CAPTURED)
    after = told(shop.home, "why", "r-1")
    assert (after["payment_id"], after["decision"]) == (shop.payment, before["decision"])
    story = told(shop.home, "trace", shop.payment)
    assert [moment["kind"] for moment in story["moments"]][:2] == ["event", "decision"]
    assert story["moments"][0]["what"].startswith("assessment of request:r-1")
    for name in ("r-1", "stripe:request:r-1", "attempt-1"):
        assert told(shop.home, "trace", name) == story, name
