"""What breaks, what calls, which commands mend it: and in the end all is as if nothing had broken, or what is lost is said."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.backends.local.warehouse import LocalWarehouse
from shared.cli.codes import Code
from shared.domain.codec import utc_text
from shared.domain.disputes import AnswerState
from shared.domain.errors import Unavailable
from shared.flows.champions import Champion, Line, with_line
from shared.flows.ports import Create, Delete, Key, Message
from shared.flows.scorer import CHAMPION
from shared.flows.train_model import COLUMNS
from shared.fraud import model
from shared.fraud.features import SCHEMA_VERSION
from shared.learning.export import export
from shared.learning.fit import calibration
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND
from tests.drills.stage import PROVIDER, Stage, calm
from tests.flows.test_respond_dispute import DUE, RESPOND_BY, Office
from tests.fraud.forests import artifact, fitted, noise
from tests.local import local_ports
from tests.simulator.facts import FactKind
from tests.stack.topology import TRIES


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How a day ends on which nothing breaks."""
    return calm(tmp_path_factory.mktemp("calm") / "home")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "home")


def test_a_poison_message_is_given_up_alone_and_dropped(stage: Stage, undisturbed: dict[str, Any]) -> None:
    facts = stage.sells()
    stage.happens(*facts[:2])
    attributes = {"provider": PROVIDER, "kind": "payment", "step": "captured", "event_id": "evt_poison"}
    poison = {**attributes, "occurred_at": utc_text(stage.shop.now)}  # of no payment
    stage.shop.bus.publish([Message("payment-events", json.dumps(poison).encode(), attributes)])
    stage.happens(*facts[2:])
    # All the others went through beside it; it is tried as often as a message is.
    assert stage.state() == undisturbed
    stage.push(rounds=TRIES + 1)
    assert set(stage.facts("message_unreadable")) == {"message_unreadable"}
    groups = stage.told("dead-letters", "list")
    assert {(one["letters"], one["count"]) for one in groups} == {
        ("dead-letter-record-payment", 1),
        ("dead-letter-score-payment", 1),
    }
    for one in groups:
        stage.done("dead-letters", "drop", one["fingerprint"])
    assert stage.told("dead-letters", "list") == []
    assert stage.state() == undisturbed


def test_after_two_hours_without_a_provider_its_wave_comes_to_the_same(
    stage: Stage, undisturbed: dict[str, Any]
) -> None:
    facts = stage.sells()
    stage.happens(*facts[:2])
    # Nothing comes for two hours. What the provider could not tell it tells afterwards: all at once, in any order, and again.
    stage.later(2 * HOUR)
    [seen] = stage.told("providers", "show", "--since", "24h")
    assert seen["health"]["provider"] == PROVIDER
    assert "2 h 0 min ago" in stage.payin("providers", "show").stdout
    wave = [one for fact in facts[2:] for one in stage.requests(fact)] * 2
    random.Random(2).shuffle(wave)
    assert set(stage.send(*wave)) == {200}
    stage.push(rounds=3)
    stage.shop.store()
    assert stage.state() == undisturbed
    assert stage.told("dead-letters", "list") == []


def test_while_a_providers_api_is_down_its_answer_waits_and_still_comes_once_and_in_time(tmp_path: Path) -> None:
    office = Office(local_ports(tmp_path))
    office.open()
    office.tick(NOON + HOUR)
    office.until(DUE - 10 * MINUTE, DAY)
    office.troubles = ["dropped"] * 10_000
    office.until(DUE + 2 * HOUR, 5 * MINUTE)
    assert (office.state in (AnswerState.TAKEN, AnswerState.PARKED), len(office.desk.taken)) == (False, 0)
    office.troubles = []
    office.until(DUE + 10 * HOUR, 10 * MINUTE)
    assert (office.state, len(office.desk.taken)) == (AnswerState.TAKEN, 1)
    assert office.desk.taken[0].at < RESPOND_BY


def test_a_lost_key_is_changed_under_fire_and_what_it_proves_is_refused_from_then_on(
    stage: Stage, undisturbed: dict[str, Any]
) -> None:
    whole = json.loads(stage.environment["WEBHOOK_STRIPE"])
    old, new = whole["keys"]["current"], whole["keys"]["next"]
    secrets = stage.home / "secrets.json"
    secrets.write_text(json.dumps({"WEBHOOK_STRIPE": {**whole, "keys": {"current": old}}}))

    def deploy() -> None:
        stage.environment["WEBHOOK_STRIPE"] = json.dumps(json.loads(secrets.read_text())["WEBHOOK_STRIPE"])
        stage.restart()

    deploy()
    facts = stage.sells()
    stage.happens(*facts[:2])
    # The provider is given another key before we have it: it is refused, which calls, and told again later.
    stage.kit.simulator.rotate()
    stage.later(SECOND)
    assert stage.send(*stage.requests(facts[2])) == [401]
    assert stage.facts("delivery_refused") == ["delivery_refused"]
    stage.done("keys", "rotate", PROVIDER, "--add", "next", "--secrets", str(secrets), answer=new)
    deploy()
    stage.happens(*facts[2:])
    # In use a moment ago, the old one would stay; it is lost, so it goes.
    late = ("keys", "rotate", PROVIDER, "--remove", "current", "--secrets", str(secrets))
    assert stage.payin(*late, "--yes", "-r", "a drill").exit_code == Code.REFUSED
    stage.done(*late, "--lost")
    deploy()
    [forged, *_] = stage.kit.simulator.requests(facts[-1])
    stolen = stage.kit.simulator._signed(forged, stage.shop.now, old)
    assert stage.send(stolen) == [401]
    listed = stage.told("deliveries", "list", "--key", "current", "--since", "1d")
    assert len(listed) == sum(len(stage.requests(fact)) for fact in facts[:2])
    assert stage.state() == undisturbed


def a_model(decline_from: float | None = None) -> bytes:
    """One that lets everybody pass, or declines from a score on."""
    forest = fitted(COLUMNS, iterations=5)
    if decline_from is None:
        return artifact(COLUMNS, forest)
    later = noise(3000, COLUMNS, seed=1)
    return export(
        forest,
        later,
        form=model.FORMAT,
        schema_version=SCHEMA_VERSION,
        calibration=calibration(forest.raw(later.values), later.fraud, later.weight, 1.0),
        thresholds={"challenge": decline_from / 4, "review": decline_from / 2, "decline": decline_from},
        learning={},
    )


def test_a_bad_model_is_taken_back_within_a_minute_and_stays_back(stage: Stage) -> None:
    good, bad = (stage.shop.ports.models.store(a_model(one)) for one in (None, 1e-9))
    line = Line(
        current=Champion(digest=good, since=stage.shop.now), challenger=Champion(digest=bad, since=stage.shop.now)
    )
    stage.shop.ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, line))])
    one, two, three = (
        [
            fact
            for fact in stage.sells(3)
            if fact.attempt.id == f"attempt-{n}" and fact.kind is not FactKind.DISPUTE_OPENED
        ]
        for n in range(3)
    )
    stage.happens(*one)
    stage.done("models", "promote", bad[:12])
    stage.later(2 * MINUTE)
    stage.happens(*two)
    # `rates_unusual` calls (tests/flows/test_monitor_model.py); `why` names the model.
    names = [stage.kit.simulator.payment_id(facts[0].attempt) for facts in (one, two, three)]
    harmed = stage.told("why", names[1])["decision"]
    assert (harmed["outcome"], harmed["model_digest"]) == ("decline", bad)
    stage.done("models", "roll-back")
    stage.later(2 * MINUTE)
    stage.happens(*three)
    assert [stage.told("why", name)["decision"]["model_digest"] for name in names] == [good, bad, good]
    outcomes = [stage.told("why", name)["decision"]["outcome"] for name in names]
    assert (outcomes[0] == outcomes[2], outcomes[0] == "decline") == (True, False)
    assert "pinned" in stage.payin("models", "show").stdout
    # Of those that it declined, what would be said now is told; what was told to the checkout stays.
    again = stage.told("why", names[1], "--what-if", "--model", "champion")
    assert again["otherwise"]["outcome"] == outcomes[0]


def test_a_bad_rule_goes_into_the_shadow_and_its_book_back(stage: Stage) -> None:
    one, two, three = (
        [
            fact
            for fact in stage.sells(3)
            if fact.attempt.id == f"attempt-{n}" and fact.kind is not FactKind.DISPUTE_OPENED
        ]
        for n in range(3)
    )
    names = [stage.kit.simulator.payment_id(facts[0].attempt) for facts in (one, two, three)]
    book = stage.home / "book.json"
    owned = {"owner": "risk", "reason": "a wave"}
    book.write_text(
        json.dumps({"rules": [{"code": "all", "outcome": "decline", "sql": "amount >= 0", "state": "live", **owned}]})
    )
    # Tried first, it would have been seen.
    stage.happens(*one)
    tried = stage.told("rules", "backtest", "amount >= 0", "--outcome", "decline", "--since", "2d")
    assert "1" in json.dumps(tried)
    stage.done("rules", "publish", str(book), "--after", "shipped")
    stage.later(2 * MINUTE)
    stage.happens(*two)
    assert stage.told("why", names[1])["decision"]["outcome"] == "decline"
    [harm] = [rule for rule in stage.told("why", names[1])["rules"] if rule["code"] == "all"]
    assert harm["live"] is True
    stage.done("rules", "shadow", "all")
    stage.later(2 * MINUTE)
    stage.happens(*three)
    assert stage.told("why", names[2])["decision"]["outcome"] == stage.told("why", names[0])["decision"]["outcome"]
    [shadow] = [rule for rule in stage.told("why", names[2])["rules"] if rule["code"] == "all"]
    assert shadow["live"] is False
    stage.done("rules", "back", "shipped")
    assert "all" not in stage.payin("rules", "list").stdout.split()


def test_without_the_warehouse_payments_go_on_and_it_catches_up(
    stage: Stage, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> Any:
        raise Unavailable("the warehouse does not answer", reason="warehouse_down")

    facts = stage.sells()
    with monkeypatch.context() as patched:
        patched.setattr(LocalWarehouse, "query", down)
        patched.setattr(stage.shop, "store", lambda: None)
        stage.happens(*facts)
        payment = stage.kit.simulator.payment_id(facts[0].attempt)
        # What documents know is there; what only the warehouse knows says that it is not, for scripts too.
        for works in (["why", payment], ["deadlines", "--days", "30"], ["dead-letters", "list"], ["models", "show"]):
            assert stage.payin(*works).exit_code == 0, works
        for waits in (["trace", payment], ["providers", "show"], ["deliveries", "list"]):
            assert stage.payin(*waits).exit_code == Code.UNAVAILABLE, waits
    stage.shop.store()
    assert stage.state() == undisturbed


def test_a_lost_database_comes_back_from_its_backup_and_the_archive_and_what_is_lost_is_known(
    stage: Stage, undisturbed: dict[str, Any]
) -> None:
    documents = stage.shop.ports.documents
    collections = ("payments", "payment_aliases", "decisions", "feature_state", "disputes", "cases", "audit", "lists")

    def copy() -> dict[Key, dict[str, Any]]:
        return {one.key: one.document for name in collections for one in documents.scan(name, 10_000)}

    facts = stage.sells()
    stage.happens(*facts[:3])
    backup, backed_up_at = copy(), stage.shop.now
    stage.done("lists", "add", "customer", "customer-7", "block")
    stage.happens(*facts[3:])
    before = copy()
    # The region's database is gone; the copy of the night is restored into another one.
    documents.commit([Delete(key) for key in before])
    documents.commit([Create(key, document) for key, document in backup.items()])
    assert stage.state() != undisturbed
    # Seek, or where topics do not reach back so far, the archive: everything since a while before the backup.
    stage.later(HOUR)
    since = (backed_up_at - 5 * MINUTE).isoformat()
    dry = stage.told("replay", PROVIDER, "--events", "--since", since, "--dry-run", "-r", "a drill")
    assert dry["rehearsed"]["changes"]
    stage.done("replay", PROVIDER, "--events", "--since", since, "--rate", "10000")
    stage.push(rounds=2)
    stage.shop.store()
    assert stage.state() == undisturbed
    # Lost is what people did since the backup, and the record of it: no event tells of it.
    lost = before.keys() - copy().keys()
    assert {key.collection for key in lost} <= {"audit", "lists", "feature_state"}
    assert any(key.collection == "audit" for key in lost)
    assert not [one for one in stage.told("audit", "--since", "1d") if one["what"] == "manage_rules list"]
    assert timedelta(0) < stage.shop.now - backed_up_at < DAY
