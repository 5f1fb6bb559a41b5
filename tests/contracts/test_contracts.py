"""What we promise to other teams is what the code does, and stays so."""

import gzip
import json
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

import shared.runtime
from shared import providers
from shared.contracts import __main__ as command
from shared.contracts import called
from shared.contracts.__main__ import FOLDER, FUNCTIONS, contracts
from shared.contracts.messages import TOPICS, Kind
from shared.domain.codec import encode, encode_event, utc_text
from shared.domain.events import KINDS, PaymentStep
from shared.flows.event_messages import event_message
from shared.flows.replay_deliveries import replay_deliveries
from shared.operations.parking import SET_ASIDE
from shared.runtime.rule_book import manage_rules
from tests.builders import (
    DAY,
    NOON,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_payout_event,
    a_resource_event,
    a_review_event,
    an_assessment,
)
from tests.contracts.fitting import misfits
from tests.flows.test_keep_evidence import MESSAGE
from tests.local import local_ports
from tests.plausible import any_of
from tests.stack.topology import ROOT

TOPOLOGY = json.loads((ROOT / "functions" / "topology.json").read_text())
WRITTEN = [
    (topic, kind, of)
    for topic, told in TOPICS.items()
    for kind in told.kinds
    for of in kind.of
    if topic not in ("ticks", "usage-evidence")
]


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_bytes())


def test_what_is_written_is_what_the_code_says_and_breaks_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"]) == 0, capsys.readouterr().err


def test_every_topic_has_its_contract_and_every_function_that_people_and_systems_call() -> None:
    # What was kept of a parked provider goes through that one, copies of messages of the others: nobody else follows it.
    assert {*TOPICS, SET_ASIDE} == set(TOPOLOGY["topics"])
    # `shared.runtime.contracts` lays them out, and serves none.
    modules = [name for _, name, _ in pkgutil.iter_modules(shared.runtime.__path__) if name != "contracts"]
    documents = {getattr(import_module(f"shared.runtime.{name}"), "openapi", None) for name in modules}
    # And those of functions that take one JSON at their root, which serve no document themselves.
    assert documents - {None} | {called.manage_rules, called.replay_deliveries} == set(FUNCTIONS.values())
    assert not list((ROOT / "functions").glob("*/openapi.json")), (
        "contracts stand in shared/contracts, by `make contracts`"
    )


def test_a_topics_schema_is_one() -> None:
    for topic in TOPICS:
        schema = read(f"topics/{topic}.json")
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize(("topic", "kind", "of"), WRITTEN, ids=lambda value: getattr(value, "__name__", None))
def test_whatever_can_be_written_fits_its_schema(topic: str, kind: Kind, of: type) -> None:
    schema = read(f"topics/{topic}.json")
    one = {**schema, "anyOf": [{"$ref": f"#/$defs/{of.__name__}"}]}
    validator = jsonschema_rs.validator_for(one, validate_formats=True)

    @settings(max_examples=25, deadline=None)
    @given(any_of(of))
    def fits(value: Any) -> None:
        written = encode_event(value, NOON) if kind.kind else encode(value)
        assert [str(error) for error in validator.iter_errors(json.loads(written))] == []

    fits()


@pytest.mark.parametrize(
    "event",
    [
        *(a_payment_event(step) for step in PaymentStep),
        an_assessment(),
        a_dispute_event(),
        a_fraud_warning(),
        a_review_event(),
        a_payout_event(),
        a_resource_event(),
    ],
    ids=lambda event: getattr(event, "step", type(event).__name__),
)
def test_an_event_fits_as_it_travels_and_a_copy_with_a_wrong_member_does_not(event: Any) -> None:
    message = event_message(event, NOON)
    assert misfits(message.topic, message.data, message.attributes) == []
    for wrong in ({"occurred_at": "today"}, {"event_id": None}, {"kind": "another"}):
        assert misfits(message.topic, json.dumps({**json.loads(message.data), **wrong}).encode(), message.attributes)
    assert misfits(message.topic, message.data, {**message.attributes, "provider": "nobody"})


def test_messages_of_other_systems_and_of_operators_are_told_too() -> None:
    assert misfits("usage-evidence", json.dumps(MESSAGE).encode(), {}) == []
    assert misfits("usage-evidence", json.dumps({**MESSAGE, "source": "The Player"}).encode(), {})
    assert misfits("ticks", b'{"roll_back": "' + b"5e" * 32 + b'"}', {"job": "train_model"}) == []
    assert misfits("ticks", b'{"roll_back": "newest"}', {"job": "train_model"})


def test_copies_are_known_by_what_the_warehouse_knows_them_by() -> None:
    for topic, table in TOPOLOGY["warehouse"].items():
        declared = TOPOLOGY["tables"][table]
        for kind in TOPICS[topic].kinds:
            assert kind.copies == (declared["once"][0],)
            assert declared["newest"] in (kind.newest, "publish_time")
    assert {kind.kind for kind in TOPICS["payment-events"].kinds} == set(KINDS)


@pytest.fixture(scope="module")
def asyncapi() -> Any:
    """The official JSON Schema of AsyncAPI 3.0.0: npm's @asyncapi/specs 6.11.1, schemas/3.0.0-without-$id.json, Apache 2.0."""
    schema = gzip.decompress((Path(__file__).parent / "asyncapi-3.0.0.json.gz").read_bytes())
    return jsonschema_rs.validator_for(json.loads(schema))


def test_the_document_of_all_topics_is_asyncapi(asyncapi: Any) -> None:
    document = read("asyncapi.json")
    assert [f"{error.instance_path}: {error}" for error in asyncapi.iter_errors(document)] == []
    assert list(asyncapi.iter_errors({**document, "channels": {"ticks": {"adress": "ticks"}}}))


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> list[str]:
        match value:
            case {"$ref": str(there)}:
                return [there]
            case dict():
                return [found for one in value.values() for found in references(one)]
            case list():
                return [found for one in value for found in references(one)]
        return []

    documents = {name: json.loads(text) for name, text in contracts().items()}
    for name, document in documents.items():
        for there in references(document):
            own, _, path = there.partition("#")
            found = documents[own or name]
            for step in filter(None, path.split("/")):
                found = found[step]
            assert isinstance(found, dict), f"{name}: {there}"


def of_root(name: str, side: str) -> Any:
    """What a function that takes one JSON is asked, or answers."""
    document = read(f"functions/{name}.json")
    post = document["paths"]["/"]["post"]
    told = post["requestBody"] if side == "asked" else post["responses"]["200"]
    schema = told["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": document["components"]})


def test_what_the_book_of_rules_is_asked_and_answers_fits_its_contract(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    asked, answered = (of_root("manage_rules", side) for side in ("asked", "answered"))
    owned = {"owner": "risk", "reason": "a wave"}
    rule = {"code": "large", "outcome": "review", "sql": "amount >= 100000", "state": "live", **owned}
    who = {"author": "ana", "reason": "a wave"}
    whom = {"action": "block", "kind": "customer", "value": "cus_1"}
    calls: tuple[dict[str, Any], ...] = (
        {"act": "show"},
        {"act": "check", "rules": ["amount > 50000", "amount >"]},
        {"act": "publish", "book": {"rules": [rule]}, "after": None, **who},
        {"act": "show"},
        {"act": "history"},
        {"act": "diff", "from": None, "to": 1},
        {"act": "list", **whom, "until": utc_text(NOON + DAY), "owner": "ana", **who},
        {"act": "listed"},
        {"act": "listed", "kind": "customer", "value": "cus_1"},
        {"act": "unlist", **whom, **who},
        {"act": "back", "to": None, **who},
    )
    for call in calls:
        assert [error.message for error in asked.iter_errors(call)] == [], call
        answer = json.loads(encode(manage_rules(json.dumps(call).encode(), ports, NOON)))
        assert [error.message for error in answered.iter_errors(answer)] == [], call
    for other in ({"act": "burn"}, {"act": "check"}, {"act": "show", "more": 1}):
        assert not asked.is_valid(other), other


def test_what_a_replay_is_asked_and_answers_fits_its_contract(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    asked, answered = (of_root("replay_deliveries", side) for side in ("asked", "answered"))
    call = {"provider": "stripe", "since": "2026-11-25T00:00:00Z", "rate": 50}
    assert asked.is_valid(call)
    done = replay_deliveries(json.dumps(call).encode(), providers.load, ports.warehouse, ports.bus, NOON + 99 * DAY)
    assert answered.is_valid(json.loads(encode(done)))
    for other in ({"provider": "stripe"}, {**call, "rate": 0}, {**call, "more": 1}):
        assert not asked.is_valid(other), other
