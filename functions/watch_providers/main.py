"""Every minute a canary through each provider's webhook, and twice a day what each provider sends to it, and who is listed by
a key of pseudonyms that is not held any more."""

import functions_framework
from flask import Request

from shared.runtime import entry, watching

handle = entry.start("watch_providers", watching.watch_providers)


@functions_framework.http
def watch_providers(request: Request) -> entry.Response:
    return handle(request)
