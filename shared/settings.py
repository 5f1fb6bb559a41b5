"""Every environment variable, read here and nowhere else.

A missing or contradictory setting raises Misconfigured at start-up, with a sentence that says what to set.
`K_SERVICE` is set by Cloud Run and by nothing of ours: where it is present, settings that only a local stack may
use (a virtual clock, throw-away certificates, an emulator) are refused.
"""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

import msgspec

from shared.domain.api import ApiCredentials
from shared.domain.decisions import Outcome
from shared.domain.delivery import Credentials
from shared.domain.entitlements import Suspends
from shared.domain.errors import Misconfigured
from shared.domain.evidence import Merchant
from shared.domain.notifications import Endpoint
from shared.domain.people import Admission, Role
from shared.domain.pseudonyms import DEVELOPMENT, Keyring
from shared.domain.reviews import Promise, ReviewAction


class BackendName(StrEnum):
    LOCAL = "local"
    GCP = "gcp"


class FirestoreTransport(StrEnum):
    """`rest` starts soonest, `grpc` (the client) serves most: functions/topology.json says which a function takes."""

    REST = "rest"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says. Secrets are in `environment` and read per provider by `credentials`.

    backend: PAYIN_BACKEND, local or gcp. home: PAYIN_HOME, the local backend's folder (SQLite file, models,
    warehouse). database_url: PAYIN_DATABASE_URL, any SQLAlchemy URL. project: GOOGLE_CLOUD_PROJECT. database:
    PAYIN_FIRESTORE_DATABASE. firestore: PAYIN_FIRESTORE_TRANSPORT, rest or grpc. bucket: PAYIN_MODEL_BUCKET. evidence: PAYIN_EVIDENCE_BUCKET. dataset:
    PAYIN_DATASET. providers: PROVIDERS, comma separated; empty means all. model: PAYIN_MODEL, champion or none.
    assessments: PAYIN_ASSESSMENTS, on or off: whether payments may have been assessed before their providers tell of them.
    clock: PAYIN_CLOCK, a file holding the virtual instant. deployed: running on Cloud Run. metadata_host: whose
    tokens are ours, Google's metadata server on Cloud Run, or the one that GCE_METADATA_HOST names, by Google's own
    word for it; None: google-auth finds some. threads: THREADS, functions-framework's own word for how many requests
    an instance works on at once. span_share: PAYIN_SPANS, the share of traces whose spans are exported.
    """

    backend: BackendName
    home: str
    database_url: str = field(repr=False)
    project: str
    database: str
    firestore: FirestoreTransport
    bucket: str
    evidence: str
    dataset: str
    providers: tuple[str, ...]
    use_model: bool
    assessments: bool
    clock: str | None
    firestore_emulator: str | None
    pubsub_emulator: str | None
    bigquery_emulator: str | None
    deployed: bool
    metadata_host: str | None
    max_body_bytes: int
    span_share: float
    threads: int
    environment: Mapping[str, str] = field(repr=False)

    def credentials(self, provider: str) -> Credentials:
        """WEBHOOK_<PROVIDER>: a JSON object, `{"keys": {"<key id>": "<secret>", ...}, "basic_auth": {"<user>":
        "<password>"}, "live": false, "account": "main", "url": ""}`. Two keys or passwords are both active (a rotation)."""
        variable = f"WEBHOOK_{provider.upper()}"
        text = self.environment.get(variable, "")
        if not text:
            raise Misconfigured(
                f'{variable} is not set: give it {{"keys": {{"<key id>": "<secret>"}}}} for {provider} deliveries',
                reason="missing_secret",
            )
        read = _secrets(variable, text, _WebhookSecrets)
        if not read.keys or not all(key and secret for key, secret in read.keys.items()):
            raise Misconfigured(
                f"{variable} holds an empty key id or secret, and an empty key lets anyone sign",
                reason="empty_secret",
            )
        if not all(user and password for user, password in read.basic_auth.items()):
            raise Misconfigured(f"{variable} holds an empty user or password", reason="empty_secret")
        trust = None
        root = f"{self.certificates(provider)}/root.pem"
        if os.path.exists(root):
            with open(root, "rb") as file:
                trust = file.read()
        return Credentials(
            keys=read.keys,
            basic_auth=read.basic_auth,
            live=read.live,
            account=read.account,
            trust=trust,
            url=read.url,
        )

    def has_api(self, provider: str) -> bool:
        """Whether there is a key of `provider`'s API."""
        return bool(self.environment.get(f"API_{provider.upper()}"))

    def api(self, provider: str) -> ApiCredentials:
        """API_<PROVIDER>: a JSON object, `{"key": "<secret or access token>", "base_url": ""}`. Only a local stack may
        set `base_url`, where a simulator answers in the provider's place."""
        variable = f"API_{provider.upper()}"
        text = self.environment.get(variable, "")
        if not text:
            raise Misconfigured(
                f'{variable} is not set: give it {{"key": "<secret>"}} to ask {provider}',
                reason="missing_secret",
            )
        read = _secrets(variable, text, _ApiSecret)
        if not read.key or not read.key.isascii() or not read.key.isprintable():
            raise Misconfigured(f"{variable} holds a key that no request can carry", reason="empty_secret")
        if read.base_url and self.deployed:
            raise Misconfigured(
                f"{variable} has a base_url, which is for local stacks and refused on Cloud Run: remove it",
                reason="local_only_setting",
            )
        return ApiCredentials(key=read.key, base_url=read.base_url.rstrip("/"))

    def keyring(self) -> Keyring:
        """PAYIN_PSEUDONYM_KEYS: a JSON object, `{"current": "2", "keys": {"1": "<secret>", "2": "<secret>"}}`, oldest
        version first. A local stack may do without. Raises Misconfigured."""
        text = self.environment.get("PAYIN_PSEUDONYM_KEYS", "")
        if not text and not self.deployed:
            return DEVELOPMENT
        if not text:
            raise Misconfigured(
                'PAYIN_PSEUDONYM_KEYS is not set: give it {"current": "1", "keys": {"1": "<32 random characters or more>"}},'
                " or customers' addresses could be guessed from what is published",
                reason="missing_secret",
            )
        read = _secrets("PAYIN_PSEUDONYM_KEYS", text, _PseudonymSecret)
        if read.current not in read.keys or not all(map(_VERSION.fullmatch, read.keys)):
            raise Misconfigured(
                "PAYIN_PSEUDONYM_KEYS names a current version that it has no key of, or a version that is not of 1 to 16"
                " letters and digits",
                reason="bad_secret",
            )
        if not all(len(secret) >= _LEAST_SECRET for secret in read.keys.values()):
            raise Misconfigured(
                f"PAYIN_PSEUDONYM_KEYS holds a key of less than {_LEAST_SECRET} characters: make it of random ones",
                reason="empty_secret",
            )
        return Keyring({version: secret.encode() for version, secret in read.keys.items()}, read.current)

    def without_history(self) -> dict[str, Outcome]:
        """PAYIN_WITHOUT_HISTORY: a JSON object, `{"": "approve", "trial": "challenge"}`: the mildest outcome of a payment
        whose history is not known in time, by what the customer does; "" is anything else. Raises Misconfigured."""
        text = self.environment.get("PAYIN_WITHOUT_HISTORY", "")
        try:
            return msgspec.json.decode(text or b"{}", type=dict[str, Outcome])
        except msgspec.MsgspecError:
            raise Misconfigured(
                f'PAYIN_WITHOUT_HISTORY is not the JSON object it should be: give it {{"<flow>": "<outcome>"}}, the outcome '
                f"one of {', '.join(Outcome)}",
                reason="bad_setting",
            ) from None

    def promise(self) -> Promise:
        """PAYIN_REVIEWS: a JSON object, `{"within_minutes": 240, "then": "refuse", "after_minutes": 1440}`: within how long a
        person looks, and what becomes of a payment at which nobody did, after how long; without `then` it goes on
        waiting. Raises Misconfigured."""
        try:
            read = msgspec.json.decode(self.environment.get("PAYIN_REVIEWS") or b"{}", type=_Reviews)
        except msgspec.MsgspecError:
            read = _Reviews(within_minutes=0)
        if not 0 < read.within_minutes <= read.after_minutes <= _LONGEST_WAIT:
            raise Misconfigured(
                'PAYIN_REVIEWS is not the JSON object it should be: give it {"within_minutes": 240, "then": "release" or'
                f' "refuse" or null, "after_minutes": 1440}}, after_minutes no less than within_minutes and {_LONGEST_WAIT}'
                " at most",
                reason="bad_setting",
            )
        within, after = timedelta(minutes=read.within_minutes), timedelta(minutes=read.after_minutes)
        return Promise(within=within, then=read.then, after=after)

    def suspends(self) -> Suspends:
        """PAYIN_ENTITLEMENTS: off, disputes or warnings: what suspends a customer's entitlement. Raises Misconfigured."""
        try:
            return Suspends(self.environment.get("PAYIN_ENTITLEMENTS") or Suspends.NOTHING)
        except ValueError:
            raise Misconfigured(
                f"PAYIN_ENTITLEMENTS is one of {', '.join(Suspends)}: what suspends a customer", reason="bad_setting"
            ) from None

    def merchant(self) -> Merchant:
        """PAYIN_MERCHANT: a JSON object, `{"name": "", "descriptors": {"": ""}, "product": "", "cancellation": "", "refunds":
        "", "sampled": null, "store_consent": ""}`: what evidence says of us. Raises Misconfigured."""
        try:
            return msgspec.json.decode(self.environment.get("PAYIN_MERCHANT") or b"{}", type=Merchant)
        except msgspec.MsgspecError:
            raise Misconfigured(
                'PAYIN_MERCHANT is not the JSON object it should be: give it {"name": "...", "descriptors": {"<account, or'
                ' empty for all>": "<what stands on statements>"}, "product": "...", "cancellation": "...", "refunds": "...",'
                ' "sampled": true, "store_consent": "<the policy>"}',
                reason="bad_setting",
            ) from None

    def admission(self) -> Admission:
        """PAYIN_CONSOLE: a JSON object, `{"audience": "", "groups": {"viewer": [], "analyst": [], "approver": []},
        "four_eyes_above": 50000}`: who is let in to the pages, by the groups that they are in, and from how many hundredths of a
        euro an act that nobody can take back wants two. PAYIN_CONSOLE_KEY: 32 random characters or more, which mark our forms.
        Raises Misconfigured."""
        try:
            read = msgspec.json.decode(self.environment.get("PAYIN_CONSOLE") or b"{}", type=_Console)
        except msgspec.MsgspecError:
            read = _Console()
        if not read.audience or not any(read.groups.values()) or read.four_eyes_above < 0:
            raise Misconfigured(
                'PAYIN_CONSOLE is not the JSON object it should be: give it {"audience": "/projects/<number>/locations/<region>'
                '/services/console", "groups": {"viewer": [], "analyst": ["<group\'s address>"], "approver": []},'
                ' "four_eyes_above": 50000}',
                reason="bad_setting",
            )
        return Admission(
            audience=read.audience,
            groups={Role[name.upper()]: tuple(one.lower() for one in groups) for name, groups in read.groups.items()},
            four_eyes_above=read.four_eyes_above,
            key=console_key(self.environment),
            keys_url=self.environment.get("PAYIN_IAP_KEYS_URL", ""),
            directory_url=self.environment.get("PAYIN_DIRECTORY_URL", ""),
        )

    def endpoints(self) -> dict[str, Endpoint]:
        """PAYIN_ENDPOINTS: a JSON object, `{"crm": {"url": "https://crm.example/hooks"}}`: who outside of Google Cloud is told,
        each with NOTIFY_<NAME>, `{"keys": {"<key id>": "whsec_..."}}`, whose keys all sign. Raises Misconfigured."""
        text = self.environment.get("PAYIN_ENDPOINTS", "")
        try:
            read = msgspec.json.decode(text or b"{}", type=dict[str, _Endpoint])
        except msgspec.MsgspecError:
            raise Misconfigured(
                'PAYIN_ENDPOINTS is not the JSON object it should be: give it {"<name>": {"url": "https://..."}}',
                reason="bad_setting",
            ) from None
        return {name: self._endpoint(name, one.url) for name, one in read.items()}

    def _endpoint(self, name: str, url: str) -> Endpoint:
        if not _ENDPOINT.fullmatch(name) or not _HTTPS.fullmatch(url):
            raise Misconfigured(
                "PAYIN_ENDPOINTS holds a name that is not of small letters, digits and underscores, or a url that is not"
                " https://<host>/<path>, without a port, a user or a fragment",
                reason="bad_setting",
            )
        variable = f"NOTIFY_{name.upper()}"
        read = _secrets(variable, self.environment.get(variable, ""), _EndpointSecret)
        if not read.keys or not all(map(_signs, read.keys.values())):
            raise Misconfigured(
                f"{variable} holds no key that signs: each is whsec_ and the base64 of 24 to 64 random bytes",
                reason="empty_secret",
            )
        return Endpoint(name, url, read.keys)

    def webhook_urls(self) -> dict[str, str]:
        """PAYIN_WEBHOOK_URLS: a JSON object, `{"stripe": "https://hooks.shop.example/stripe"}`: where each provider's deliveries
        come in. Raises Misconfigured."""
        try:
            read = msgspec.json.decode(self.environment.get("PAYIN_WEBHOOK_URLS") or b"{}", type=dict[str, str])
        except msgspec.MsgspecError:
            read = {"": ""}
        allowed = _HTTPS if self.deployed else _HTTP
        if not all(name and allowed.fullmatch(url) for name, url in read.items()):
            raise Misconfigured(
                'PAYIN_WEBHOOK_URLS is not the JSON object it should be: give it {"<provider>": "https://<host>/<provider>"}',
                reason="bad_setting",
            )
        return read

    def live(self) -> bool:
        """PAYIN_LIVE: on or off: whether providers' endpoints take real money. Raises Misconfigured."""
        return _one_of(self.environment, "PAYIN_LIVE", ("on", "off"), "off") == "on"

    def training_job(self) -> "TrainingJob | None":
        """PAYIN_TRAINING_JOB: a JSON object, `{"above": 400000, "region": "europe-west1", "machine": "n1-highmem-8",
        "service_account": "..."}`: from how many rows on a night of training is a job of its own, and on what. Unset: none is.
        Raises Misconfigured."""
        text = self.environment.get("PAYIN_TRAINING_JOB", "")
        if not text:
            return None
        try:
            read = msgspec.json.decode(text, type=TrainingJob)
        except msgspec.MsgspecError:
            read = None
        if read is None or not _REGION.fullmatch(read.region) or "@" not in read.service_account:
            raise Misconfigured(
                'PAYIN_TRAINING_JOB is not the JSON object it should be: give it {"above": 400000, "region": "<region>",'
                ' "machine": "n1-highmem-8", "service_account": "<e-mail address>"}',
                reason="bad_setting",
            )
        return read

    @property
    def revision(self) -> tuple[str, str]:
        """Cloud Run's names of the service and of the revision that runs here; empty elsewhere."""
        return self.environment.get("K_SERVICE", ""), self.environment.get("K_REVISION", "")

    def of_a_job(self) -> dict[str, str]:
        """What a process of ours is told that works on what this one works on; no secret is among it."""
        return {name: self.environment[name] for name in _OF_A_JOB if self.environment.get(name)}

    def model_bucket(self) -> str:
        """The bucket that holds the models; empty for the local backend, which has a folder. Raises Misconfigured."""
        if self.backend is BackendName.GCP and not self.bucket:
            raise Misconfigured(
                "PAYIN_MODEL_BUCKET is not set: name the bucket that holds the models", reason="missing_bucket"
            )
        return self.bucket

    def evidence_bucket(self) -> str:
        """The bucket that keeps what was sent to providers; empty for the local backend. Raises Misconfigured."""
        if self.backend is BackendName.GCP and not self.evidence:
            raise Misconfigured(
                "PAYIN_EVIDENCE_BUCKET is not set: name the bucket that keeps evidence", reason="missing_bucket"
            )
        return self.evidence

    def api_base_url(self, provider: str) -> str:
        """Where a simulator stands in for the provider's API; empty for the provider's own address."""
        return self.api(provider).base_url if self.has_api(provider) else ""

    def certificates(self, provider: str) -> str | None:
        """PAYIN_<PROVIDER>_CERTIFICATES: the folder where a local stack's simulator leaves its throw-away
        certificates, root.pem among them; None for the real ones."""
        return self.environment.get(f"PAYIN_{provider.upper()}_CERTIFICATES")


class TrainingJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """above: rows beyond which a night of training is a job of Vertex AI in `region`, on a `machine` and as a `service_account`
    of its own."""

    above: Annotated[int, msgspec.Meta(ge=1)]
    region: str
    machine: Annotated[str, msgspec.Meta(min_length=1)]
    service_account: str


_REGION = re.compile("[a-z]{2,20}-[a-z]{2,20}[0-9]{1,2}", flags=re.ASCII)
# GOOGLE_CLOUD_PROJECT is set by hand outside of Cloud Run, and the last two are the local backend's.
_OF_A_JOB = (
    "GOOGLE_CLOUD_PROJECT",
    "PAYIN_BACKEND",
    "PAYIN_DATASET",
    "PAYIN_FIRESTORE_DATABASE",
    "PAYIN_FIRESTORE_TRANSPORT",
    "PAYIN_MODEL_BUCKET",
    "PAYIN_HOME",
    "PAYIN_DATABASE_URL",
)


class _Reviews(msgspec.Struct, forbid_unknown_fields=True):
    within_minutes: int = 240
    then: ReviewAction | None = None
    after_minutes: int = 1440


_LONGEST_WAIT = 90 * 24 * 60


class _WebhookSecrets(msgspec.Struct, forbid_unknown_fields=True):
    keys: dict[str, str]
    basic_auth: dict[str, str] = {}
    live: bool = False
    account: str = "main"
    url: str = ""


class _ApiSecret(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    base_url: str = ""


class _Console(msgspec.Struct, forbid_unknown_fields=True):
    audience: str = ""
    groups: dict[Literal["viewer", "analyst", "approver"], tuple[str, ...]] = {}
    four_eyes_above: int = 50_000


class _Endpoint(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class _EndpointSecret(msgspec.Struct, forbid_unknown_fields=True):
    keys: dict[str, str]


def _signs(secret: str) -> bool:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, on symmetric keys."""
    try:
        return secret.startswith("whsec_") and 24 <= len(base64.b64decode(secret[6:], validate=True)) <= 64
    except ValueError:
        return False


_ENDPOINT = re.compile("[a-z][a-z0-9_]{0,30}", flags=re.ASCII)
_HTTPS = re.compile(r"https://[a-z0-9][a-z0-9.-]{0,252}(?:[/?][!-\"$-~]{0,1000})?", flags=re.ASCII)


_HTTP = re.compile(r"https?://[a-z0-9][a-z0-9.:-]{0,252}(?:[/?][!-\"$-~]{0,1000})?", flags=re.ASCII)


class _PseudonymSecret(msgspec.Struct, forbid_unknown_fields=True):
    current: str
    keys: dict[str, str]


_VERSION = re.compile("[0-9A-Za-z]{1,16}", flags=re.ASCII)
_LEAST_SECRET = 32

_S = TypeVar("_S", bound=msgspec.Struct)


def _secrets(variable: str, text: str, of: type[_S]) -> _S:
    try:
        return msgspec.json.decode(text, type=of)
    except msgspec.MsgspecError:
        # The decoder's own message may quote a member's name, and a secret may have slipped into its place.
        members = ", ".join(f'"{name}"' for name in of.__struct_fields__)
        raise Misconfigured(
            f"{variable} is not the JSON object it should be: its members are {members}", reason="bad_secret"
        ) from None


def console_key(environment: Mapping[str, str]) -> bytes:
    """PAYIN_CONSOLE_KEY. Raises Misconfigured."""
    key = environment.get("PAYIN_CONSOLE_KEY", "")
    if len(key) < _LEAST_SECRET:
        raise Misconfigured(
            f"PAYIN_CONSOLE_KEY is not set, or of less than {_LEAST_SECRET} characters: make it of random ones",
            reason="missing_secret",
        )
    return key.encode()


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises Misconfigured."""
    backend = _one_of(environment, "PAYIN_BACKEND", tuple(BackendName), BackendName.LOCAL)
    deployed = bool(environment.get("K_SERVICE"))
    home = environment.get("PAYIN_HOME", ".payin")
    settings = Settings(
        backend=BackendName(backend),
        home=home,
        database_url=environment.get("PAYIN_DATABASE_URL") or f"sqlite:///{home}/payin.sqlite",
        project=environment.get("GOOGLE_CLOUD_PROJECT", ""),
        database=environment.get("PAYIN_FIRESTORE_DATABASE", "(default)"),
        firestore=FirestoreTransport(
            _one_of(environment, "PAYIN_FIRESTORE_TRANSPORT", tuple(FirestoreTransport), FirestoreTransport.REST)
        ),
        bucket=environment.get("PAYIN_MODEL_BUCKET", ""),
        evidence=environment.get("PAYIN_EVIDENCE_BUCKET", ""),
        dataset=environment.get("PAYIN_DATASET", "payin"),
        providers=tuple(name.strip() for name in environment.get("PROVIDERS", "").split(",") if name.strip()),
        use_model=_one_of(environment, "PAYIN_MODEL", ("champion", "none"), "champion") == "champion",
        assessments=_one_of(environment, "PAYIN_ASSESSMENTS", ("on", "off"), "on") == "on",
        clock=environment.get("PAYIN_CLOCK"),
        firestore_emulator=environment.get("FIRESTORE_EMULATOR_HOST"),
        pubsub_emulator=environment.get("PUBSUB_EMULATOR_HOST"),
        bigquery_emulator=environment.get("BIGQUERY_EMULATOR_HOST"),
        deployed=deployed,
        metadata_host=environment.get("GCE_METADATA_HOST") or ("metadata.google.internal" if deployed else None),
        max_body_bytes=_positive(environment, "PAYIN_MAX_BODY_BYTES", 1 << 20),
        span_share=_share(environment, "PAYIN_SPANS"),
        threads=_positive(environment, "THREADS", 8),
        environment=environment,
    )
    if settings.backend is BackendName.GCP and not settings.project:
        raise Misconfigured(
            "GOOGLE_CLOUD_PROJECT is not set: PAYIN_BACKEND=gcp needs the project's id",
            reason="missing_project",
        )
    if settings.database_url.partition(":")[0].partition("+")[0] not in ("sqlite", "postgresql"):
        # Its text is not repeated: it may hold a password.
        raise Misconfigured(
            "PAYIN_DATABASE_URL is no database we can open: set sqlite:///<file> or "
            "postgresql+psycopg://<user>@<host>/<name>",
            reason="bad_database_url",
        )
    if deployed:
        if settings.backend is not BackendName.GCP:
            raise Misconfigured(
                "PAYIN_BACKEND must be gcp on Cloud Run: a local database dies with the instance",
                reason="local_when_deployed",
            )
        for variable in environment:
            if environment[variable] and _LOCAL_ONLY.fullmatch(variable):
                raise Misconfigured(
                    f"{variable} is for local stacks and is refused on Cloud Run: unset it",
                    reason="local_only_setting",
                )
    return settings


_LOCAL_ONLY = re.compile(
    "PAYIN_CLOCK|PAYIN_IAP_KEYS_URL|PAYIN_DIRECTORY_URL|PAYIN_JOBS_URL|PAYIN_[A-Z]+_CERTIFICATES|(FIRESTORE|PUBSUB|BIGQUERY)_EMULATOR_HOST"
)


def _one_of(environment: Mapping[str, str], variable: str, allowed: tuple[str, ...], default: str) -> str:
    value = environment.get(variable) or default
    if value not in allowed:
        raise Misconfigured(f"{variable} is {value!r}: set it to one of {', '.join(allowed)}", reason="bad_setting")
    return value


def _share(environment: Mapping[str, str], variable: str) -> float:
    text = environment.get(variable) or "0"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise Misconfigured(f"{variable} must be a share, 0 to 1", reason="bad_setting")
    return share


def _positive(environment: Mapping[str, str], variable: str, default: int) -> int:
    value = environment.get(variable) or str(default)
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise Misconfigured(f"{variable} is {value!r}: set it to a whole number above 0", reason="bad_setting")
    return int(value)
