import json

import pytest

from shared.domain.errors import Misconfigured
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
    ],
)
def test_a_secret_that_could_verify_nothing_or_everything_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match="WEBHOOK_STRIPE") as refused:
        read({"WEBHOOK_STRIPE": text}).credentials("stripe")
    assert refused.value.reason == reason
    assert "whsec" not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PAYIN_BACKEND": "aws"}, "PAYIN_BACKEND"),
        ({"PAYIN_BACKEND": "gcp"}, "GOOGLE_CLOUD_PROJECT"),
        ({"PAYIN_MODEL": "latest"}, "PAYIN_MODEL"),
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
