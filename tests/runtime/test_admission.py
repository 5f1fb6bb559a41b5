"""Whose word the proxy's header is, and what they may do."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared import settings
from shared.domain.errors import Misconfigured, Unavailable
from shared.domain.people import Admission, NotAllowed, Person, Role, Unproven
from shared.runtime.admission import Doorman
from tests.stack import front
from tests.stack.front import PEOPLE, STRANGER, Front, Signer, standing_in


@pytest.fixture
def proxy() -> Iterator[Front]:
    with standing_in() as started:
        yield started


@pytest.fixture
def admission(proxy: Front) -> Admission:
    return settings.read(front.environment(proxy.address)).admission()


@pytest.mark.parametrize(("email", "role"), PEOPLE.items())
def test_each_has_the_role_of_their_group(email: str, role: str, proxy: Front, admission: Admission) -> None:
    found = Doorman(admission, None).admit(proxy.signer.assertion(email.upper()))
    assert found == Person(email=email, role=Role[role.upper()])


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "/projects/1/locations/europe-west1/services/another"},
        {"iss": "https://accounts.google.com"},
        {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200},
        {"email": None},
        {"email": "nobody"},
        {"email": ["ana@shop.example"]},
    ],
)
def test_a_word_for_somebody_else_or_of_another_time_is_none(
    claims: dict[str, object], proxy: Front, admission: Admission
) -> None:
    with pytest.raises(Unproven):
        Doorman(admission, None).admit(proxy.signer.assertion("ana@shop.example", **claims))


def test_what_the_proxy_has_not_signed_is_nobodys_word(proxy: Front, admission: Admission) -> None:
    doorman, true = Doorman(admission, None), proxy.signer.assertion("ana@shop.example")
    head, body, _ = true.split(".")
    unsigned = "eyJhbGciOiJub25lIiwia2lkIjoia2V5LTEifQ"
    for forged in (
        "",
        "x",
        "a.b.c",
        "a.b",
        Signer().assertion("ana@shop.example"),
        Signer("another").assertion("ana@shop.example"),
        f"{head}.{body}.",
        f"{unsigned}.{body}.",
        true[:-4] + "AAAA",
    ):
        with pytest.raises(Unproven):
            doorman.admit(forged)
    assert doorman.admit(true).email == "ana@shop.example"


def test_who_is_in_no_group_may_nothing(proxy: Front, admission: Admission) -> None:
    with pytest.raises(NotAllowed):
        Doorman(admission, None).admit(proxy.signer.assertion(STRANGER))


def test_the_proxys_new_key_is_asked_for_once_in_a_while(proxy: Front, admission: Admission) -> None:
    doorman = Doorman(admission, None)
    doorman.admit(proxy.signer.assertion("ana@shop.example"))
    proxy.signer = Signer("key-2")
    with pytest.raises(Unproven):
        doorman.admit(proxy.signer.assertion("ana@shop.example"))
    doorman._asked_at -= 60
    assert doorman.admit(proxy.signer.assertion("ana@shop.example")).email == "ana@shop.example"


def test_a_proxy_or_a_directory_that_does_not_answer_lets_nobody_in(proxy: Front, admission: Admission) -> None:
    nowhere = "http://127.0.0.1:9"
    for dead in (replace(admission, keys_url=nowhere), replace(admission, directory_url=nowhere)):
        doorman = Doorman(dead, None)
        doorman._plain._patience = doorman._directory._patience = 0.2
        with pytest.raises(Unavailable):
            doorman.admit(proxy.signer.assertion("ana@shop.example"))


def test_a_group_that_cannot_be_read_is_an_operators_fault(proxy: Front, admission: Admission) -> None:
    unknown = replace(admission, groups={Role.VIEWER: ("nowhere@shop.example",)})
    with pytest.raises(Misconfigured, match="PAYIN_CONSOLE"):
        Doorman(unknown, None).admit(proxy.signer.assertion("ana@shop.example"))


def test_stand_ins_are_refused_where_we_are_deployed() -> None:
    with pytest.raises(Misconfigured, match="PAYIN_IAP_KEYS_URL"):
        settings.read(
            {
                "K_SERVICE": "console",
                "PAYIN_BACKEND": "gcp",
                "GOOGLE_CLOUD_PROJECT": "p",
                "PAYIN_IAP_KEYS_URL": "http://x",
            }
        )


@pytest.mark.parametrize("missing", ["PAYIN_CONSOLE", "PAYIN_CONSOLE_KEY"])
def test_the_console_does_not_start_without_its_settings(missing: str, proxy: Front) -> None:
    with pytest.raises(Misconfigured, match=missing):
        settings.read(front.environment(proxy.address) | {missing: ""}).admission()
