import json
from datetime import timedelta

import pytest

from shared.domain.errors import Misconfigured
from shared.domain.pseudonyms import DEVELOPMENT
from shared.domain.reviews import Promise, ReviewAction
from shared.settings import BackendName, read

SECRET = {"WEBHOOK_STRIPE": json.dumps({"keys": {"2026-10": "whsec_old", "2026-11": "whsec_new"}})}
DEPLOYED = {"K_SERVICE": "webhook-stripe", "PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "p"}


def test_with_nothing_set_it_is_the_local_backend_on_a_sqlite_file() -> None:
    settings = read({})
    assert settings.backend is BackendName.LOCAL
    assert settings.database_url == "sqlite:///.payin/payin.sqlite"
    assert settings.use_model


def test_every_active_secret_is_read_with_its_key_id() -> None:
    assert read(SECRET).credentials("stripe").keys == {"2026-10": "whsec_old", "2026-11": "whsec_new"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing_secret"),
        ("whsec_abc", "bad_secret"),
        ('{"keys": {}}', "empty_secret"),
        ('{"keys": {"k1": ""}}', "empty_secret"),
        ('{"keys": {"": "whsec_a"}}', "empty_secret"),
        ('{"keys": {"k1": "whsec_a"}, "basic_auth": {"adyen": ""}}', "empty_secret"),
        ('{"keys": {"k1": "whsec_a"}, "debug": true}', "bad_secret"),
        # The secret in the place of a member's name.
        ('{"whsec_a": "k1"}', "bad_secret"),
        ('{"keys": {"whsec_a": 1}}', "bad_secret"),
    ],
)
def test_a_secret_that_could_verify_nothing_or_everything_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match="WEBHOOK_STRIPE") as refused:
        read({"WEBHOOK_STRIPE": text}).credentials("stripe")
    assert refused.value.reason == reason
    assert "whsec" not in str(refused.value)


@pytest.mark.parametrize("text", ['{"sk_live_a": "key"}', '{"key": 1}', "sk_live_a", '{"key": "sk_live_a\\n"}'])
def test_a_key_that_cannot_be_read_is_not_repeated(text: str) -> None:
    with pytest.raises(Misconfigured, match="API_MOLLIE") as refused:
        read({"API_MOLLIE": text}).api("mollie")
    assert "sk_live" not in str(refused.value)


def test_no_secret_is_in_the_text_of_settings_or_credentials() -> None:
    settings = read(SECRET | {"PAYIN_DATABASE_URL": "postgresql://payin:whsec_db@db/payin"})
    assert "whsec" not in repr(settings)
    assert "whsec" not in repr(settings.credentials("stripe"))


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PAYIN_BACKEND": "aws"}, "PAYIN_BACKEND"),
        ({"PAYIN_BACKEND": "gcp"}, "GOOGLE_CLOUD_PROJECT"),
        ({"PAYIN_MODEL": "latest"}, "PAYIN_MODEL"),
        ({"PAYIN_FIRESTORE_TRANSPORT": "http"}, "PAYIN_FIRESTORE_TRANSPORT"),
        ({"PAYIN_MAX_BODY_BYTES": "-1"}, "PAYIN_MAX_BODY_BYTES"),
        ({"K_SERVICE": "webhook"}, "PAYIN_BACKEND must be gcp"),
        ({"PAYIN_DATABASE_URL": "mysql://ana:secret@db/payin"}, "PAYIN_DATABASE_URL"),
        ({"PAYIN_DATABASE_URL": "payin.sqlite"}, "PAYIN_DATABASE_URL"),
        (DEPLOYED | {"PAYIN_CLOCK": "clock"}, "PAYIN_CLOCK"),
        (DEPLOYED | {"PAYIN_PAYPAL_CERTIFICATES": "certificates"}, "PAYIN_PAYPAL_CERTIFICATES"),
        (DEPLOYED | {"FIRESTORE_EMULATOR_HOST": "localhost:1"}, "FIRESTORE_EMULATOR_HOST"),
    ],
)
def test_a_contradiction_is_refused_with_the_name_of_what_to_set(environment: dict[str, str], says: str) -> None:
    with pytest.raises(Misconfigured, match=says) as refused:
        read(environment)
    assert "secret@" not in str(refused.value)


KEYS = "PAYIN_PSEUDONYM_KEYS"


def test_pseudonyms_have_their_own_key_when_deployed_and_a_known_one_on_a_laptop() -> None:
    told = json.dumps({"current": "2", "keys": {"1": "a" * 32, "2": "b" * 32}})
    keyring = read({**DEPLOYED, KEYS: told}).keyring()
    assert (keyring.current, list(keyring.keys)) == ("2", ["1", "2"])
    assert "aaaa" not in repr(keyring)
    assert read({}).keyring() == DEVELOPMENT
    with pytest.raises(Misconfigured, match=KEYS) as refused:
        read(DEPLOYED).keyring()
    assert refused.value.reason == "missing_secret"


@pytest.mark.parametrize(
    "text",
    [
        "not-set",
        '{"current": "1", "keys": {}}',
        '{"current": "1", "keys": {"1": "short"}}',
        f'{{"current": "3", "keys": {{"1": "{"a" * 32}"}}}}',
        f'{{"current": "1-", "keys": {{"1-": "{"a" * 32}"}}}}',
    ],
)
def test_a_key_of_pseudonyms_that_anybody_could_guess_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match=KEYS) as refused:
        read({KEYS: text}).keyring()
    assert "short" not in str(refused.value)
    assert "aaaa" not in str(refused.value)


def test_what_is_promised_of_reviews_is_read_and_what_contradicts_is_refused() -> None:
    assert read({}).promise() == Promise()
    told = read({"PAYIN_REVIEWS": '{"within_minutes": 60, "then": "refuse", "after_minutes": 90}'}).promise()
    assert told == Promise(timedelta(hours=1), ReviewAction.REFUSE, timedelta(minutes=90))
    for wrong in (
        '{"within_minutes": 60, "after_minutes": 30}',
        '{"within_minutes": 0}',
        '{"then": "approve"}',
        "soon",
    ):
        with pytest.raises(Misconfigured, match="PAYIN_REVIEWS"):
            read({"PAYIN_REVIEWS": wrong}).promise()
