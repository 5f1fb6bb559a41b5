"""What people's tools run on, beside what functions do: what waits in subscriptions, what was logged, and under which keys
providers' words are published again. The same for the command line and for pages."""

from functools import cached_property
from pathlib import Path

from shared.domain.errors import Misconfigured
from shared.domain.pseudonyms import Keyring
from shared.flows.ports import Bus, Logs, Subscriptions
from shared.flows.pseudonyms import PseudonymousBus
from shared.runtime.app import App
from shared.settings import BackendName


class Workbench(App):
    """Parts connect when first used. Raises Misconfigured."""

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """What waits in them; of no function's concern, and so no part of `ports`."""
        if self.settings.backend is BackendName.GCP:
            from shared.backends.gcp.subscriptions import PubSubSubscriptions

            return PubSubSubscriptions(self.settings.project, self.settings.pubsub_emulator)
        from shared.backends.local.bus import LocalBus
        from shared.backends.local.sql import Database

        return LocalBus(Database(self.settings.database_url))

    @cached_property
    def logs(self) -> Logs:
        """What functions said of themselves."""
        if self.settings.backend is BackendName.GCP:
            from shared.backends.gcp.http import Http
            from shared.backends.gcp.logs import CloudLogs
            from shared.backends.gcp.tokens import access_tokens

            http = Http(access_tokens(self.settings.metadata_host), patience=30.0, read_timeout=20.0)
            return CloudLogs(self.settings.project, http)
        from shared.backends.local.logs import LogFiles

        return LogFiles(Path(self.settings.home) / "logs")

    @cached_property
    def keyring(self) -> Keyring:
        """Under which what providers say is published. Raises Misconfigured where a deployed platform's is not here, for under
        any other nobody would be known again."""
        if self.settings.backend is BackendName.GCP and not self.settings.environment.get("PAYIN_PSEUDONYM_KEYS"):
            raise Misconfigured(
                "PAYIN_PSEUDONYM_KEYS is not set: `gcloud secrets versions access latest --secret=payin-pseudonym-keys`"
                " shows it",
                reason="missing_secret",
            )
        return self.settings.keyring()

    @property
    def telling(self) -> Bus:
        """`ports.bus`, for what providers say."""
        return PseudonymousBus(self.ports.bus, self.keyring)
