"""What every provider's keys are held to beyond the contract: they are compared in constant time, and a retired one is
worth nothing."""

import dataclasses
import hmac
from pathlib import Path

import pytest

from shared import providers
from shared.domain.errors import SignatureInvalid
from tests.providers.declared import DECLARED
from tests.providers.kits import Kit, a_kit

# What is missing there is no signature.
OTHERWISE = {
    "authorization of adyen": "basic_auth_mismatch",
    "paypal-auth-algo of paypal": "wrong_algorithm",
    "x-request-id of mercadopago": "signature_mismatch",  # who sends none signs none
}
# Proved by a public key of the provider's: there is no secret whose comparison could tell anything.
PUBLIC_KEY = frozenset({"apple", "google", "paypal"})


@pytest.fixture(scope="module", params=providers.names())
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=sorted(set(providers.names()) - PUBLIC_KEY))
def secretive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


def test_what_proves_a_delivery_is_compared_in_constant_time_and_nowhere_else(
    secretive: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = secretive
    delivery = kit.signed(kit.bodies()[0])
    others = dataclasses.replace(kit.credentials, keys=a_kit(kit.provider.NAME, tmp_path, seed=8).credentials.keys)
    with pytest.raises(SignatureInvalid):
        kit.verify(delivery, others)
    # Where every comparison says yes, so does the adapter: there is no other one by which it could have said no.
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: True)
    assert kit.verify(delivery, others).key_ids


def test_a_retired_key_proves_nothing_once_its_rotation_is_over(kit: Kit) -> None:
    delivery = kit.signed(kit.bodies()[0])
    assert kit.verify(delivery).key_ids == ("current",)
    newest = dataclasses.replace(kit.credentials, keys={"next": kit.credentials.keys["next"]})
    with pytest.raises(SignatureInvalid) as refused:
        kit.verify(delivery, newest)
    assert refused.value.reason == "signature_mismatch"


@pytest.mark.parametrize(
    ("kit", "name"),
    [(name, header) for name in providers.names() for header in DECLARED[name].headers],
    indirect=["kit"],
)
@pytest.mark.parametrize("told", [None, "", " "])
def test_a_delivery_without_its_signature_is_refused_as_that_and_not_as_a_forgery(
    kit: Kit, name: str, told: str | None
) -> None:
    delivery = kit.signed(kit.bodies()[0])
    headers = {key: value for key, value in delivery.headers.items() if key != name}
    with pytest.raises(SignatureInvalid) as refused:
        kit.verify(dataclasses.replace(delivery, headers=headers if told is None else {**headers, name: told}))
    assert refused.value.reason == OTHERWISE.get(f"{name} of {kit.provider.NAME}", "missing_signature")
