"""Messages are pushed to `notify`, and people see what became of them."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from shared.domain.notifications import Endpoint
from shared.runtime import outgoing
from shared.runtime.notifications import PATH, openapi
from terraform.tools import bundle
from tests.flows.test_notify import an_action
from tests.functions.attacked import attack_desk
from tests.stack.identity import identity

ANA = identity("ana@shop.example")


class Receiver:
    """Answers for every endpoint."""

    status = 204
    came: list[tuple[str, str]]

    def __call__(self, endpoint: Endpoint, notification_id: str, body: str, now: datetime) -> int:
        self.came.append((endpoint.name, notification_id))
        return self.status


@pytest.fixture(scope="module")
def receiver() -> Receiver:
    found = Receiver()
    found.came = []
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[FlaskClient]:
    home: Path = tmp_path_factory.mktemp("notify")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PAYIN_HOME", str(home))
        endpoints = {name: {"url": f"https://{name}.example/hooks"} for name in ("crm", "shop")}
        monkeypatch.setenv("PAYIN_ENDPOINTS", json.dumps(endpoints))
        for name in ("CRM", "SHOP"):
            monkeypatch.setenv(f"NOTIFY_{name}", json.dumps({"keys": {"1": "whsec_" + "b2xk" * 8}}))
        monkeypatch.setattr(outgoing.Outgoing, "__call__", lambda _, *sent: receiver(*sent))
        main = bundle.ROOT / "functions" / "notify" / "main.py"
        yield create_app("notify", str(main)).test_client()  # type: ignore[no-untyped-call]


def push(desk: FlaskClient, data: bytes, path: str = "/crm/payment-actions", action: str = "release") -> int:
    message = {
        "data": base64.b64encode(data).decode(),
        "attributes": {"provider": "stripe", "action": action},
        "messageId": "1",
        "publishTime": "2026-11-02T12:00:00Z",
    }
    return desk.post(path, json={"message": message, "subscription": "s"}).status_code


def ask(desk: FlaskClient, act: str, **told: Any) -> tuple[int, dict[str, Any]]:
    answer = desk.post(f"{PATH}/{act}", json=told, headers=ANA)
    return answer.status_code, json.loads(answer.data)


def test_the_contract_is_served(desk: FlaskClient) -> None:
    served = desk.get("/openapi.json")
    assert (served.status_code, served.data) == (200, openapi())


def test_a_push_is_acknowledged_when_the_endpoint_took_it_and_offered_again_when_not(
    desk: FlaskClient, receiver: Receiver
) -> None:
    receiver.status = 500
    assert push(desk, an_action(1)) == 503
    receiver.status = 204
    assert push(desk, an_action(1)) == 200
    assert push(desk, an_action(1)) == 200
    assert push(desk, b"no json") == 400
    assert push(desk, an_action(1), "/nobody/payment-actions") == 404
    status, told = ask(desk, "list", endpoint="crm")
    [one] = told["notifications"]
    assert (status, one["tries"], one["kind"], one["status"]) == (200, 2, "payment.release", 204)
    assert json.loads(one["body"])["timestamp"] == "2026-11-02T12:00:00Z"
    assert ask(desk, "list", endpoint="crm", after=one["notification_id"])[1] == {"notifications": []}


def test_a_person_has_it_sent_again(desk: FlaskClient, receiver: Receiver) -> None:
    assert push(desk, an_action(2), "/shop/payment-actions") == 200
    [one] = ask(desk, "list", endpoint="shop")[1]["notifications"]
    status, told = ask(desk, "resend", endpoint="shop", notification_id=one["notification_id"])
    assert (status, told["tries"], told["resent_by"]) == (200, 2, "ana@shop.example")
    assert ask(desk, "resend", endpoint="crm", notification_id=one["notification_id"])[0] == 404
    assert ask(desk, "resend", endpoint="nobody", notification_id=one["notification_id"])[0] == 404
    answer = desk.post(f"{PATH}/resend", json={"endpoint": "shop", "notification_id": one["notification_id"]})
    assert answer.status_code == 401


def test_an_endpoint_that_is_gone_is_shown_and_enabled_again(desk: FlaskClient, receiver: Receiver) -> None:
    receiver.status = 410
    assert push(desk, an_action(3)) == 200
    receiver.status = 204
    shown = {one["endpoint"]: one for one in desk.get(PATH, headers=ANA).get_json()["endpoints"]}
    assert shown["crm"]["disabled_at"]
    assert shown["shop"]["disabled_at"] is None
    before = len(receiver.came)
    assert push(desk, an_action(4)) == 200
    assert len(receiver.came) == before
    assert ask(desk, "enable", endpoint="crm")[0] == 200
    assert push(desk, an_action(4)) == 200
    assert len(receiver.came) == before + 1


@pytest.mark.parametrize("act", ["", "/list", "/resend", "/enable"])
def test_whatever_is_sent_is_answered_as_the_document_says(desk: FlaskClient, act: str) -> None:
    attack_desk(desk, PATH, act, 15, ANA)
