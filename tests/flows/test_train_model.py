"""Training, end to end on the local backend: DuckDB, SQLite, files."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pytest

from shared.domain.codec import utc_text
from shared.domain.errors import Rejected
from shared.domain.telemetry import told_instead
from shared.flows import train_model as train_flow
from shared.flows.challengers import roll_back
from shared.flows.champions import TRAINED, Champion, Line, line_of, with_line
from shared.flows.nights import Verdict
from shared.flows.ports import Create, Ports, Replace
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import TrainingReport, on_request, train_model
from shared.fraud import model
from shared.fraud.features import NAMES, SCHEMA_VERSION, microseconds
from shared.fraud.point_in_time import logged_sql, served_sql
from shared.learning import data_set
from shared.learning.fit import fit
from shared.learning.request import TrainingRequest
from tests.builders import DAY, a_payment_event
from tests.fraud.forests import noise
from tests.learning.shop import DAYS, OPENED, fill, past
from tests.local import local_ports, published

NOW = OPENED + (DAYS + 10) * DAY
# A small shop has few frauds.
FEW = {"least_frauds_held_out": 8, "least_frauds_compared": 10}
QUICK = json.dumps({"maturity_days": 8, "gap_days": 2, "burn_in_days": 0, "iterations": 40, **FEW}).encode()


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Ports, TrainingReport]]:
    """A shop that has trained once. Tests that change the registry make their own."""
    with TemporaryDirectory() as folder:
        ports = local_ports(Path(folder))
        fill(ports, past())
        yield ports, train_model(ports, NOW, QUICK)


def line(ports: Ports, schema: str = SCHEMA_VERSION) -> Line:
    [snapshot] = ports.documents.get([CHAMPION])
    assert snapshot is not None
    return line_of(snapshot.document, schema, lambda _: True)


def champion(ports: Ports) -> Champion:
    current = line(ports).current
    assert current is not None
    return current


def in_the_earlier_form(ports: Ports, digest: str, *former: str, **more: object) -> None:
    past = [{"digest": one, "since": NOW - DAY} for one in former]
    ports.documents.commit([Create(CHAMPION, {"digest": digest, "since": NOW, "former": past, **more})])


def test_a_model_that_tells_fraud_from_the_rest_becomes_the_champion(shop: tuple[Ports, TrainingReport]) -> None:
    ports, report = shop
    assert report.promoted
    assert report.objections == ()
    assert report.quality is not None
    assert report.quality.average_precision > 0.6
    assert report.quality.roc_auc > 0.8
    assert 0 < report.quality.brier < report.quality.prior
    assert champion(ports).digest == report.digest


def test_what_decides_has_learned_from_all_and_what_was_judged_from_none_that_it_was_judged_by(
    shop: tuple[Ports, TrainingReport], caplog: pytest.LogCaptureFixture
) -> None:
    ports, report = shop
    assert report.digest is not None
    assert report.judged is not None
    decides, judged = (json.loads(ports.models.load(digest)) for digest in (report.digest, report.judged))
    learned_from = [artifact["trees"][0]["count"][0] for artifact in (decides, judged)]
    assert learned_from == [report.payments, judged["learning"]["slices"]["train"]["rows"]]
    assert champion(ports).judged == report.judged


def test_what_learned_from_all_gives_probabilities_that_come_true_on_payments_after_all_of_them() -> None:
    request = TrainingRequest(iterations=100, split_part=1.0, l2=1.0)  # the more eager, the surer of what it has seen
    known = noise(12_000, NAMES[:10])
    train, later, unseen = (known.part((known.at >= since) & (known.at < since + 4_000)) for since in (0, 4_000, 8_000))
    judged = fit(train, (), request)
    everything = fit(known.part(known.at < 8_000), (), request)
    decides, own = (
        train_flow._put_right(forest, asked, later, 1.0, request).score(unseen.values)
        for forest, asked in ((everything, judged), (everything, everything))
    )
    expected = decides.sum() / unseen.frauds
    assert 0.93 < expected < 1.07
    # Asked about what it has learned from, it would be surer than it may be.
    error = [float(np.mean((score - unseen.fraud) ** 2)) for score in (decides, own)]
    assert error[0] < error[1]


def test_a_champion_has_a_card_and_a_page_for_people(shop: tuple[Ports, TrainingReport]) -> None:
    ports, report = shop
    crowned = champion(ports)
    assert crowned.card is not None
    assert crowned.page is not None
    card = json.loads(ports.models.load(crowned.card))
    assert card["model"] == report.judged
    assert set(card["parts"]) == {"provider", "network", "country", "customer", "amount (EUR)"}
    frauds = {part["name"]: part["frauds"] for part in card["parts"]["country"]}
    assert set(frauds) == {"DE", "US"}
    assert sum(frauds.values()) == card["period"]["test"]["frauds"]
    assert [part["name"] for part in card["parts"]["provider"]] == ["stripe"]
    assert {part["name"] for part in card["parts"]["customer"]} == {"known", "new, or not named"}
    assert ports.models.load(crowned.page).startswith(b"<!doctype html>")


def test_the_first_days_give_history_and_are_not_learned_from(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    fill(ports, past(payments=600, frauds=60))
    few = {**json.loads(QUICK), "least_frauds": 1, "least_frauds_held_out": 1, "iterations": 2}
    whole, late = (
        train_flow._labeled(ports, NOW, msgspec.convert(few | {"burn_in_days": days}, TrainingRequest)).mature
        for days in (0, 20)
    )
    assert late.at[0] >= whole.at[0] + 20 * 86_400_000_000 - 3_600_000_000 * 24
    assert 0 < len(late) < len(whole)
    # With all the history that they have without it.
    assert np.array_equal(late.values, whole.values[-len(late) :], equal_nan=True)


def test_declined_and_immature_payments_have_no_label(shop: tuple[Ports, TrainingReport], tmp_path: Path) -> None:
    _, report = shop
    events = list(past())
    young = local_ports(tmp_path)
    fill(young, iter(events))
    assert report.payments < 2650 - 40
    assert train_model(young, OPENED + 4 * DAY, QUICK).payments == 0
    halfway = train_model(young, OPENED + 38 * DAY, QUICK)
    assert 0.4 * report.payments < halfway.payments < 0.6 * report.payments


def test_the_same_rows_give_the_same_model_whenever_and_however_often_they_are_told(
    shop: tuple[Ports, TrainingReport], tmp_path: Path
) -> None:
    _, first = shop
    ports = local_ports(tmp_path)
    events = fill(ports, past())
    # Every event twice, and the other way round.
    fill(ports, iter(events[::-1]))
    again = train_model(ports, NOW + timedelta(hours=5), QUICK)
    assert again.digest == first.digest
    assert train_model(ports, NOW, QUICK).promoted
    assert line(ports).former == ()


def test_the_artifact_is_named_by_its_bytes_and_says_where_it_comes_from(shop: tuple[Ports, TrainingReport]) -> None:
    ports, report = shop
    assert report.digest is not None
    data = ports.models.load(report.digest)
    assert hashlib.sha256(data).hexdigest() == report.digest
    learning = json.loads(data)["learning"]
    assert learning["judged"] == report.judged != report.digest
    slices = learning["slices"]
    assert slices["train"]["to"] + 2 * 86_400_000_000 <= slices["calibrate"]["from"]
    assert slices["calibrate"]["to"] < slices["test"]["from"]


def test_scores_are_calibrated_and_thresholds_keep_within_what_people_can_look_at(
    shop: tuple[Ports, TrainingReport],
) -> None:
    _, report = shop
    assert report.quality is not None
    reached = report.quality.outcomes
    assert reached["challenge"].threshold <= reached["review"].threshold <= reached["decline"].threshold
    # Twice the capacity leaves room for a test week that is worse than the calibration week.
    assert reached["review"].part - reached["decline"].part <= 0.04
    assert reached["challenge"].part - reached["review"].part <= 0.2


def test_too_few_frauds_are_refused_with_a_sentence_and_an_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ports = local_ports(tmp_path)
    fill(ports, past(payments=400, frauds=20))
    report = train_model(ports, NOW, QUICK)
    on_request(ports, NOW, QUICK)
    assert (report.promoted, report.digest) == (False, None)
    assert "training has" in report.objections[0]
    assert "needs 30" in report.objections[0]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["training_refused"]
    [champion, trained] = ports.documents.get([CHAMPION, TRAINED])
    assert champion is None
    assert trained is not None
    assert (trained.document["trained_at"], trained.document["refused"]) == (NOW, 0)


def test_a_worse_model_is_stored_and_does_not_decide_and_somebody_is_called(
    shop: tuple[Ports, TrainingReport], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, first = shop
    assert first.digest is not None
    ports = local_ports(tmp_path)
    ports.models.store(good.models.load(first.digest))
    in_the_earlier_form(ports, first.digest)
    fill(ports, past())
    dull = {**json.loads(QUICK), "iterations": 1, "leaves": 2}
    # The night, and its redelivery.
    worse = train_model(ports, NOW, json.dumps(dull).encode())
    on_request(ports, NOW, json.dumps(dull).encode())
    on_request(ports, NOW + DAY, json.dumps({**dull, "as_challenger": True}).encode())
    called = [record.fields for record in caplog.records if record.getMessage() == "model_refused"]  # type: ignore[attr-defined]
    assert called == [
        {"reason": "worse", "nights": 1, "digest": worse.digest, "objections": "; ".join(worse.objections)}
    ]
    assert not worse.promoted
    assert worse.digest is not None
    assert worse.comparison is not None
    assert worse.comparison.money.high < 0
    assert worse.objections[-1].startswith("worse than the champion: ")
    assert ports.models.load(worse.digest)
    assert champion(ports).digest == first.digest


def test_payments_that_the_champion_was_fitted_on_do_not_count_for_it(
    shop: tuple[Ports, TrainingReport], tmp_path: Path
) -> None:
    good, first = shop
    assert first.judged is not None
    artifact = json.loads(good.models.load(first.judged))
    artifact["learning"]["slices"]["train"]["to"] = artifact["learning"]["slices"]["test"]["to"]
    ports = local_ports(tmp_path)
    in_the_earlier_form(ports, ports.models.store(json.dumps(artifact).encode()))
    fill(ports, past())
    report = train_model(ports, NOW, QUICK)
    assert report.objections == ("0 frauds are too few to tell it from the champion, which takes 10",)


def test_what_is_trained_as_a_challenger_is_asked_beside_and_decides_when_it_is_promoted(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    fill(ports, past())
    first = train_model(ports, NOW, QUICK)
    beside = json.dumps({**json.loads(QUICK), "iterations": 41, "as_challenger": True}).encode()
    for _ in range(2):
        second = train_model(ports, NOW + DAY, beside)
        assert (second.promoted, second.objections) == (False, ())
    assert second.digest is not None
    stands = line(ports)
    assert stands.current is not None
    assert stands.challenger is not None
    assert (stands.current.digest, stands.challenger.digest) == (first.digest, second.digest)
    # What it was judged on is kept, to tell when payments become others.
    assert stands.challenger.reference is not None
    reference = json.loads(ports.models.load(stands.challenger.reference))
    assert set(reference["features"]) == set(train_flow.COLUMNS)
    on_request(ports, NOW + 2 * DAY, json.dumps({"promote": second.digest}).encode())
    assert champion(ports) == replace(stands.challenger, since=NOW + 2 * DAY)


def test_rolling_back_lets_the_former_champion_decide_again_until_its_pin_is_taken_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="payin")
    ports = local_ports(tmp_path)
    fill(ports, past())
    with pytest.raises(Rejected, match="no champion came before"):
        roll_back(ports, NOW)
    first = train_model(ports, NOW, QUICK)
    [known] = ports.documents.get([CHAMPION])
    assert known is not None
    ports.documents.commit([Replace(CHAMPION, {**known.document, "rules_alone": True}, known.version)])
    other = json.dumps({**json.loads(QUICK), "iterations": 41}).encode()
    second = train_model(ports, NOW + DAY, other)
    assert second.promoted
    # It met the champion as that one was judged, not as it is: fitted on all that it would be tested on.
    assert second.comparison is not None
    assert second.comparison.frauds >= 10
    # Scored by the trainer's own estimator, which is kept beside the trees and gives their numbers.
    assert line(ports).former[-1].judged_estimator
    assert "model_trained" in caplog.messages
    assert "estimator_not_opened" not in caplog.messages
    assert champion(ports).digest == second.digest != first.digest
    assert roll_back(ports, NOW + 2 * DAY) == first.digest
    assert champion(ports) == replace(champion(ports), digest=first.digest, judged=first.judged)
    [known] = ports.documents.get([CHAMPION])
    assert known is not None
    assert known.document["rules_alone"]  # what an operator said stays said, whoever is the champion
    with pytest.raises(Rejected, match="no champion came before"):
        roll_back(ports, NOW + 2 * DAY)

    # Seventeen nights later it is still pinned, and that calls somebody.
    night = train_model(ports, NOW + 17 * DAY, other)
    assert (night.promoted, night.digest) == (False, second.judged)
    assert night.objections == (f"an operator has pinned the champion {first.digest}",)
    assert night.verdict is Verdict.PASSED  # what an operator wants is no refusal of the gate's
    told = [record.fields for record in caplog.records if record.getMessage() == "champion_stale"]  # type: ignore[attr-defined]
    assert told == [{"digest": first.digest, "days": 15}]
    with pytest.raises(Rejected, match="is another one than"):
        on_request(ports, NOW, json.dumps({"unpin": second.digest}).encode())
    for asked in ("pin", "unpin", "unpin"):
        on_request(ports, NOW, json.dumps({asked: first.digest}).encode())
    assert train_model(ports, NOW + 18 * DAY, other).digest == champion(ports).digest == second.digest


def test_an_operator_rolls_back_by_a_message_that_may_come_twice(
    shop: tuple[Ports, TrainingReport], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, first = shop
    assert first.digest is not None
    ports = local_ports(tmp_path)
    data = json.loads(good.models.load(first.digest))
    old, new = (ports.models.store(json.dumps(data | {"learning": name}).encode()) for name in ("old", "new"))
    in_the_earlier_form(ports, new, old, old)
    message = json.dumps({"roll_back": new}).encode()
    with caplog.at_level("INFO", logger="payin"):
        for _ in range(3):
            on_request(ports, NOW, message)
    told = [
        (record.getMessage(), record.fields)  # type: ignore[attr-defined]
        for record in caplog.records
        if record.getMessage().startswith("champion_")
    ]
    kept = ("champion_kept", {"digest": old, "unwanted": new})
    assert told == [("champion_rolled_back", {"digest": old}), kept, kept]
    assert champion(ports).digest == old
    assert [past.digest for past in line(ports).former] == [old]


def test_a_release_of_other_features_keeps_its_own_champion_whatever_ours_learns(
    shop: tuple[Ports, TrainingReport], tmp_path: Path
) -> None:
    """Two releases serve during a roll-out; the other one is of today, or of the time of the earlier form."""
    good, first = shop
    assert first.digest is not None
    old = json.loads(good.models.load(first.digest)) | {"schema_version": "0" * 16}
    ports = local_ports(tmp_path)
    foreign = ports.models.store(json.dumps(old).encode())
    in_the_earlier_form(ports, foreign, rules_alone=False)
    fill(ports, past())
    assert decided_by(ports, "pi_1") is None  # not theirs: rules decide until we have one
    report = train_model(ports, NOW, QUICK)
    assert report.promoted
    assert report.comparison is None
    assert line(ports).former == ()
    assert champion(ports).digest == report.digest
    [found] = ports.documents.get([CHAMPION])
    assert found is not None
    assert (found.document["digest"], found.document["rules_alone"]) == (foreign, False)
    theirs = Line(current=Champion(digest=foreign, since=NOW))
    ports.documents.commit([Replace(CHAMPION, with_line(found.document, "0" * 16, theirs), found.version)])
    train_model(ports, NOW + DAY, json.dumps({**json.loads(QUICK), "iterations": 41}).encode())
    assert line(ports, "0" * 16) == theirs
    assert len(line(ports).former) == 1
    assert decided_by(ports, "pi_2") == champion(ports).digest


def decided_by(ports: Ports, payment_id: str) -> str | None:
    """The model by which an instance that starts now judges a payment."""
    scorer = Scorer()
    scorer.start(ports, NOW)
    score_payment(a_payment_event(payment_id=payment_id, event_id=f"stripe:a:{payment_id}"), ports, NOW, scorer)
    [decision] = [row for row in published(ports, "fraud-decisions") if row["payment_id"] == payment_id]
    return None if decision["model_digest"] is None else str(decision["model_digest"])


def test_what_a_payment_was_served_is_what_it_trains_with(tmp_path: Path) -> None:
    """Two machines at one moment: neither decision saw the other's payment, though one was made a microsecond later."""
    ports = local_ports(tmp_path)
    events = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOW + n * timedelta(microseconds=1)) for n in range(3)]
    *_, late = (replace(event, occurred_at=event.occurred_at + DAY) for event in events)
    fill(ports, iter([*events[:2], late]))
    for event in (*events[:2], late):
        score_payment(event, ports, event.occurred_at, Scorer(use_model=False))
    first, second, last = published(ports, "fraud-decisions")
    unseen = {**second, "features": first["features"]}
    ports.warehouse.append("fraud_decisions", [first, unseen, {**last, "schema_version": "0" * 16}])
    rows = ports.warehouse.query(served_sql(), {"since": NOW - DAY, "as_of": NOW + 2 * DAY, "sample": "ff"})
    found = {row["event_id"]: row for row in rows}
    served = {feature["name"]: feature["value"] for feature in first["features"]}
    for name in NAMES:
        assert found[second["event_id"]][name] == served[name]
    # Of another schema nothing is taken: what was served then is computed.
    assert found[last["event_id"]]["card_payments_7d"] == 2


def test_genuine_payments_are_thinned_out_and_probabilities_put_right(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    fill(ports, past())
    said: dict[str, Mapping[str, Any]] = {}
    with told_instead(lambda _, event, fields: said.update({event: fields})):
        report = train_model(ports, NOW, json.dumps({**json.loads(QUICK), "max_rows": 900}).encode())
    assert report.digest is not None
    assert report.judged is not None
    train = json.loads(ports.models.load(report.judged))["learning"]["slices"]["train"]
    assert said["model_fitted"] == {"trees": 40, "rows": train["rows"], "frauds": train["frauds"]}
    assert said["model_refitted"] == {"trees": 40, "rows": report.payments, "frauds": report.frauds}
    assert report.frauds == 150
    assert report.payments < 1200
    assert report.quality is not None
    assert 0.03 < report.quality.prior < 0.09  # of all payments, not of those kept
    loaded = model.load(ports.models.load(report.digest), report.digest)
    assert loaded.thresholds.challenge > 0


def test_what_decisions_recorded_trains_the_same_model_and_nothing_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = local_ports(tmp_path)
    for event in fill(ports, past()):
        score_payment(event, ports, event.occurred_at, Scorer(use_model=False))
    ports.warehouse.append("fraud_decisions", published(ports, "fraud-decisions"))
    asked: list[str] = []
    query = ports.warehouse.query

    def noted(sql: str, parameters: Mapping[str, Any] | None = None, *, once: bool = False) -> list[dict[str, Any]]:
        asked.append(sql)
        return query(sql, parameters, once=once)

    monkeypatch.setattr(ports.warehouse, "query", noted)
    few = json.dumps({**json.loads(QUICK), "max_rows": 900}).encode()
    report = train_model(ports, NOW, few)
    assert asked == [data_set.LOGGED_SQL, data_set.labeled_sql(logged_sql())]
    monkeypatch.setattr(train_flow, "logged_sql", lambda: data_set.named_sql(served_sql()))
    assert train_model(ports, NOW, few).digest == report.digest is not None

    # Fewer than would be taken were recorded: all are computed that were not.
    asked.clear()
    train_model(ports, NOW, QUICK)
    computed = data_set.labeled_sql(data_set.named_sql(served_sql()))
    assert asked == [data_set.LOGGED_SQL, data_set.COUNT_SQL, computed]


@pytest.mark.parametrize(
    ("payments", "frauds", "share", "sample", "below"),
    [
        (0, 0, 1.0, "ff", "g"),
        (1_000, 10, 1.0, "ff", "g"),
        (2_000, 10, 0.5, "ff", "80000000"),
        (200_000, 1_000, 1 / 200, "ff", "0147ae14"),
        (800_000, 4_000, 1 / 200, "3f", "0051eb85"),
        # Whole 256ths of the payments: a little more than 200 times as many as are kept.
        (40_000_000, 200_000, 1 / 312.5, "01", "0001a36e"),
        # A raid: a tenth is fraud, and of it no more is kept than of the rest.
        (200_000, 20_000, 1 / 10.16, "0c", "0147ae14"),
        (2_000, 1_999, 1.0, "80", "80000000"),
    ],
)
def test_frauds_are_thinned_out_too_where_payments_or_frauds_are_many(
    payments: int, frauds: int, share: float, sample: str, below: str
) -> None:
    kept = data_set.sampling(payments, frauds, 1_000)
    assert (kept.sample, kept.below) == (sample, below)
    assert kept.share == pytest.approx(share, rel=1e-2)
    looked_at = (int(sample, 16) + 1) / 256
    assert frauds * looked_at <= 1_000 + frauds / 256


@pytest.mark.parametrize(
    "parameters",
    [
        b'{"roll_back": true}',
        json.dumps({"roll_back": "a" * 64 + "\n"}).encode(),
        b'{"recompute": 0}',
        b'{"pin": "a"}',
        json.dumps({"unpin": "a" * 64, "pin": "a" * 64}).encode(),
        b'{"recompute": 10, "seed": 1}',
        b"[]",
        b'{"seed": -1}',
        b'{"iterations": 0}',
        b'{"unknown": 1}',
        b'{"train_part": 0.9, "calibrate_part": 0.2}',
        b"{",
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters: bytes, tmp_path: Path) -> None:
    for asked in (train_model, on_request):
        with pytest.raises(Rejected, match="training request"):
            asked(local_ports(tmp_path), NOW, parameters)


def logged(ports: Ports, payments: int) -> None:
    """Decisions of two hundred days, with vectors of noise."""
    chance = np.random.default_rng(payments)
    rows = []
    for index in range(payments):
        at = utc_text(NOW - (1 - index / payments) * 200 * DAY)
        values = chance.normal(size=len(NAMES)).round(3).tolist()
        rows.append(
            {
                "event_id": f"stripe:a:{index}",
                "provider": "stripe",
                "payment_id": f"pi_{index}",
                "occurred_at": at,
                "decided_at": at,
                "schema_version": SCHEMA_VERSION,
                "sample": hashlib.md5(f"stripe:a:{index}".encode(), usedforsecurity=False).hexdigest()[:2],
                "step": "captured",
                "features": [{"name": name, "value": value} for name, value in zip(NAMES, values, strict=True)],
            }
        )
    ports.warehouse.append("fraud_decisions", rows)


def a_label(
    payment_id: str, known: datetime, label: str = "third_party_fraud", source: str = "dispute"
) -> dict[str, Any]:
    told = {"label_id": f"{payment_id}/{source}/{label}", "provider": "stripe", "payment_id": payment_id, "revision": 1}
    return {**told, "label": label, "source": source, "known_at": utc_text(known)}


def test_a_correction_and_a_reviewers_word_are_learned_as_far_as_they_are_known(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    logged(ports, payments=3000)
    oldest = ports.warehouse.query("SELECT payment_id FROM fraud_decisions ORDER BY occurred_at LIMIT 5 OFFSET 1500")
    one, two, three, four, five = (row["payment_id"] for row in oldest)
    ports.warehouse.append(
        "fraud_labels",
        [
            a_label(one, NOW - 3 * DAY),
            a_label(two, NOW - 9 * DAY),
            a_label(two, NOW - 3 * DAY, "genuine", "dispute_won"),
            a_label(three, NOW - 5 * DAY, source="manual_review"),
            a_label(four, NOW - 5 * DAY, "first_party_fraud", "manual_review"),
            a_label(five, NOW - 5 * DAY, "service"),
        ],
    )
    request = msgspec.convert({"maturity_days": 0, "burn_in_days": 0, "max_rows": 256}, TrainingRequest)

    def frauds(now: datetime) -> int:
        return train_flow._labeled(ports, now, request).taught.frauds

    # The second is disproved, and the first known, three days ago; before anybody spoke there is none.
    assert [frauds(NOW), frauds(NOW - 4 * DAY), frauds(NOW - 7 * DAY), frauds(NOW - 10 * DAY)] == [3, 3, 1, 0]


def test_fraud_that_is_known_of_young_payments_is_learned_before_they_are_mature(tmp_path: Path) -> None:
    """Half of the frauds are known within days, half within two months, so that a payment is mature after about two."""
    ports = local_ports(tmp_path)
    logged(ports, payments=3000)
    rows = ports.warehouse.query("SELECT payment_id, occurred_at FROM fraud_decisions ORDER BY occurred_at")
    labels = []
    for index, row in enumerate(rows[45::5]):
        known = row["occurred_at"] + (index % 6 if index % 2 else 20 + index % 40) * DAY
        if known <= NOW:
            labels.append(a_label(row["payment_id"], known))
    ports.warehouse.append("fraud_labels", labels)
    request = msgspec.convert({"burn_in_days": 0, "max_rows": 1000}, TrainingRequest)
    known = train_flow._labeled(ports, NOW, request)
    assert 45 <= known.maturity.mature_days <= 60
    assert known.told["frauds_counted"] > 300
    assert known.told["young_frauds"] > 50
    # All that is known is learned, and as many genuine payments beside each as in the end.
    assert known.taught.frauds == len(labels)
    young = known.taught.at > known.mature.at[-1]
    assert known.taught.fraud[young].mean() == pytest.approx(known.mature.fraud.mean(), abs=0.04)
    # Nobody is judged by payments of which next to nothing is known.
    assert known.mature.at[-1] <= microseconds(NOW - known.maturity.mature_days * DAY)
    assert len(known.names["provider"]) == len(known.mature)
    with_fixed = msgspec.structs.replace(request, watched_days=400)
    fixed = train_flow._labeled(ports, NOW, with_fixed)
    assert (fixed.maturity.mature_days, fixed.told["young"]) == (60, 0)
