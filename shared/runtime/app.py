"""The composition root: settings in, everything outside out. One `App` an instance; parts connect when first used."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared import settings as settings_module
from shared.domain.errors import Unavailable
from shared.flows.ports import Bus, Ports
from shared.flows.pseudonyms import PseudonymousBus
from shared.runtime import logs
from shared.runtime.spans import Spans
from shared.runtime.tracing import TracedBus
from shared.settings import BackendName

if TYPE_CHECKING:
    from shared.backends.gcp.http import Http

TELEMETRY: Final = "https://telemetry.googleapis.com/v1/traces"


class App:
    """What a function runs on. Building one reads settings and nothing else; raises Misconfigured."""

    def __init__(self, function: str, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings_module.read(os.environ if environment is None else environment)
        self.now: Callable[[], datetime] = self._virtual_now if self.settings.clock else _system_now
        # A virtual clock agrees with nobody's.
        self.clock: Callable[[], datetime] | None = None if self.settings.clock else _system_now
        self._making = threading.Lock()
        self._ports: Ports | None = None
        self._telemetry: Http | None = None
        self.spans = Spans(function, self.settings.project, self.settings.span_share, self._send_spans)
        logs.configure(function, self.settings.project or "local", self.now if self.settings.clock else None)

    @property
    def ports(self) -> Ports:
        """Everything outside; made at first use, once, whichever of the instance's threads comes first."""
        with self._making:
            if self._ports is None:
                self._ports = self._connect()
            return self._ports

    def pseudonymous_bus(self) -> Callable[[], Bus]:
        """For functions that publish what providers say: `ports.bus` under our keys. Raises Misconfigured, at once."""
        keyring = self.settings.keyring()
        return lambda: PseudonymousBus(self.ports.bus, keyring)

    def _connect(self) -> Ports:
        """The one line that chooses a backend."""
        if self.settings.backend is BackendName.GCP:
            from shared.backends.gcp import connect
        else:
            from shared.backends.local import connect
        ports = connect(self.settings)
        return replace(ports, bus=TracedBus(ports.bus))

    def _send_spans(self, request: bytes) -> None:
        """To Google's Telemetry API; on a local stack to a file of OTLP's JSON lines for each process, as collectors read them."""
        if self.settings.backend is not BackendName.GCP:
            folder = Path(self.settings.home) / "spans"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{os.getpid()}.jsonl").open("ab") as file:
                file.write(request + b"\n")
            return
        from shared.backends.gcp.http import Http
        from shared.backends.gcp.tokens import access_tokens

        if self._telemetry is None:
            self._telemetry = Http(access_tokens(self.settings.metadata_host))
        status, _ = self._telemetry.request("POST", TELEMETRY, request, {"content-type": "application/json"})
        if status != 200:
            raise Unavailable(f"the Telemetry API answers {status}", reason="spans_refused")

    def _virtual_now(self) -> datetime:
        text = Path(self.settings.clock or "").read_text(encoding="ascii").strip()
        return datetime.fromisoformat(text).astimezone(UTC)


def _system_now() -> datetime:
    return datetime.now(UTC)
