"""What one call of `payin` runs on: a backend, a clock, and who is asking."""

import getpass
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import msgspec
import typer

from shared.domain.errors import Misconfigured, Unavailable
from shared.domain.pseudonyms import Keyring
from shared.flows.ports import Bus, Logs, Ports, Subscriptions
from shared.runtime.workbench import Workbench
from shared.settings import BackendName, Settings

LOCAL = Path(".payin")
"""Where `make dev` and `make demo` leave what they did, a folder each."""

TOKENINFO = "https://oauth2.googleapis.com/tokeninfo"
_EMAIL = "https://www.googleapis.com/auth/userinfo.email"


class Session:
    """Reads settings and connects when the command first uses it, so that `--help` needs neither.

    home: the local backend's folder. None: PAYIN_HOME, else of the stacks in `.payin` the one that runs, else the one that
    was written to last. A folder that a demo left has its virtual clock, which is then ours.
    """

    def __init__(self, home: Path | None, environment: Mapping[str, str]) -> None:
        self._home, self._environment = home, environment

    @cached_property
    def bench(self) -> Workbench:
        told, home = dict(self._environment), self._home
        if told.get("PAYIN_BACKEND", BackendName.LOCAL) == BackendName.LOCAL and not told.get("PAYIN_DATABASE_URL"):
            folder = home or (Path(told["PAYIN_HOME"]) if told.get("PAYIN_HOME") else _newest(LOCAL))
            if not (folder / "payin.sqlite").is_file():
                raise Misconfigured(f"nothing has run in {folder}: `make dev` or `make demo`, or name another --home")
            told["PAYIN_HOME"] = str(folder)
            if (folder / "clock").is_file() and not told.get("PAYIN_CLOCK"):
                told["PAYIN_CLOCK"] = str(folder / "clock")
        elif home is not None:
            raise Misconfigured("--home is of the local backend: leave it out, or set PAYIN_BACKEND=local")
        app = Workbench("payin", told)
        # Facts are for a function's log, on standard output, which here is the answer's.
        logging.getLogger("payin").handlers = [logging.NullHandler()]
        return app

    @property
    def settings(self) -> Settings:
        return self.bench.settings

    @property
    def now(self) -> Callable[[], datetime]:
        return self.bench.now

    @property
    def ports(self) -> Ports:
        return self.bench.ports

    @property
    def subscriptions(self) -> Subscriptions:
        return self.bench.subscriptions

    @property
    def logs(self) -> Logs:
        return self.bench.logs

    @property
    def keyring(self) -> Keyring:
        return self.bench.keyring

    @property
    def telling(self) -> Bus:
        """`ports.bus`, for what providers say."""
        return self.bench.telling

    @property
    def where(self) -> str:
        """The backend, for people."""
        if self.settings.backend is BackendName.GCP:
            return f"gcp, project {self.settings.project}"
        return f"local, {self.settings.home}"

    @cached_property
    def person(self) -> str:
        """Who is asking: on Google Cloud whom Google knows by the credentials that are used here, on this machine the user's
        name. Raises Misconfigured where that is nobody, and Unavailable."""
        if self.settings.backend is BackendName.GCP and not self.settings.firestore_emulator:
            return _google_account(self.settings.metadata_host)
        return getpass.getuser()


def session_of(context: typer.Context) -> Session:
    found = context.find_object(Session)
    assert found is not None, "the root command opens one"
    return found


def _newest(folder: Path) -> Path:
    ran = [one.parent for one in folder.glob("*/payin.sqlite")]
    running = [one for one in ran if (one / "running.json").is_file()]
    if not ran:
        raise Misconfigured(
            f"no stack has run here ({folder.resolve()}): `make dev` or `make demo`; or PAYIN_BACKEND=gcp and"
            " GOOGLE_CLOUD_PROJECT for a deployed one"
        )
    return max(running or ran, key=lambda one: (one / "payin.sqlite").stat().st_mtime)


def _google_account(metadata_host: str | None) -> str:
    import urllib3

    from shared.backends.gcp.tokens import access_tokens

    token = access_tokens(metadata_host, _EMAIL).token()
    try:
        told = urllib3.PoolManager(retries=False, timeout=10.0).request_encode_body(
            "POST", TOKENINFO, fields={"access_token": token}, encode_multipart=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable("Google does not say who you are") from error
    found = msgspec.json.decode(told.data, type=dict[str, object]) if told.status == 200 else {}
    email = found.get("email")
    if not isinstance(email, str) or not email:
        raise Misconfigured("the credentials name nobody: run `gcloud auth application-default login`")
    return email.lower()


def past(text: str, now: datetime) -> datetime:
    """An instant from which on something is looked for. Raises BadParameter for one that lies ahead too: an empty answer would
    say that nothing happened."""
    found = instant(text, now)
    if found > now:
        raise typer.BadParameter(f"{text!r} lies ahead: nothing has happened since")
    return found


def instant(text: str, now: datetime) -> datetime:
    """`2026-11-27`, `2026-11-27T08:00Z`, or how long ago: `90s`, `15m`, `6h`, `7d`. Raises BadParameter."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], text[-1:]
    try:
        if unit in units and number.isascii() and number.isdigit():
            return now - timedelta(**{units[unit]: int(number)})
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no instant: 2026-11-27, 2026-11-27T08:00Z, or how long ago: 90s, 15m, 6h, 7d"
        ) from None
