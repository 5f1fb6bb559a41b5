"""Canaries at the webhook function: each provider's, among what its provider sends."""

import hmac
from pathlib import Path

import pytest

from shared import providers
from shared.domain.canaries import HEADER, derived, sign
from shared.domain.pseudonyms import DEVELOPMENT
from tests.providers.kits import Kit, a_kit
from tests.runtime.test_webhook import NOW, Webhook

KEYS = derived(DEVELOPMENT)
BODY = b'{"canary": "2026-11-23T12:00:00Z"}'


@pytest.fixture(params=providers.names())
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Kit:
    return a_kit(request.param, tmp_path / "kit")


@pytest.fixture
def webhook(kit: Kit, tmp_path: Path) -> Webhook:
    name = kit.provider.NAME
    return Webhook(tmp_path, **{**kit.simulator.environment(), "PROVIDERS": name})


def sent(webhook: Webhook, kit: Kit, body: bytes, headers: dict[str, str], query: str = "") -> int:
    path = f"/{kit.provider.NAME}{f'?{query}' if query else ''}"
    status: int = webhook.post(body, headers, path).status_code
    return status


def test_a_canary_is_published_as_what_it_is_and_answered(webhook: Webhook, kit: Kit) -> None:
    name = kit.provider.NAME
    assert sent(webhook, kit, BODY, {HEADER: sign(KEYS, name, BODY, NOW)}) == 204
    [row] = webhook.published("deliveries")
    [event] = webhook.published("payment-events")
    assert (row["outcome"], row["provider"], row["types"]) == ("canary", name, ["canary"])
    assert (event["kind"], event["provider"], event["event_id"]) == ("canary", name, row["delivery_id"])
    assert event["occurred_at"] == "2026-11-23T12:00:00Z"


def test_what_the_provider_signed_is_no_business_event_once_a_canary_s_header_is_on_it(
    webhook: Webhook, kit: Kit
) -> None:
    delivery = kit.signed(kit.bodies()[0], NOW)
    genuine = dict(delivery.headers)
    assert sent(webhook, kit, delivery.body, genuine | {HEADER: "v1 dev 1 " + "0" * 64}, delivery.query) == 401
    assert webhook.published("deliveries") == webhook.published("payment-events") == []
    # Proved by both, it is a canary still, and nothing of what is in it is acted upon.
    both = genuine | {HEADER: sign(KEYS, kit.provider.NAME, delivery.body, NOW)}
    assert sent(webhook, kit, delivery.body, both, delivery.query) == 204
    assert [event["kind"] for event in webhook.published("payment-events")] == ["canary"]


def test_without_its_header_a_canary_is_what_nothing_proves(webhook: Webhook, kit: Kit) -> None:
    assert sent(webhook, kit, BODY, {}) == 401
    assert webhook.published("payment-events") == []


def test_a_canary_key_proves_no_business_event_by_the_provider_s_own_scheme(tmp_path: Path) -> None:
    kit = a_kit("stripe", tmp_path / "kit")
    body = kit.bodies()[0]
    webhook = Webhook(tmp_path, PROVIDERS="stripe", **kit.simulator.environment())
    seconds = str(int(NOW.timestamp()))
    signature = hmac.new(KEYS.keys["dev"], f"{seconds}.".encode() + body, "sha256").hexdigest()
    assert sent(webhook, kit, body, {"Stripe-Signature": f"t={seconds},v1={signature}"}) == 401


def test_a_header_that_is_there_twice_is_no_canary_s(webhook: Webhook, kit: Kit) -> None:
    value = sign(KEYS, kit.provider.NAME, BODY, NOW)
    answer = webhook.client.post(f"/{kit.provider.NAME}", data=BODY, headers=[(HEADER, value), (HEADER, value)])
    assert answer.status_code == 401
