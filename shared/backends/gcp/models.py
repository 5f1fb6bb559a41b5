"""Models as objects of a Cloud Storage bucket, named by their digest and never overwritten."""

import hashlib
from urllib.parse import quote

from shared.backends.artifacts import missing, named, verified
from shared.backends.gcp.http import Http
from shared.backends.gcp.tokens import Tokens
from shared.domain.errors import Unavailable

_OK, _NOT_FOUND, _EXISTS = 200, 404, 412


class BucketModels:
    """`shared.flows.ports.Models` over Cloud Storage's JSON interface; `origin` is another server's in tests."""

    def __init__(
        self,
        bucket: str,
        tokens: Tokens | None,
        origin: str = "https://storage.googleapis.com",
        patience: float = 20.0,
    ) -> None:
        self._bucket = bucket
        self._origin = origin
        # A model is a few megabytes, and is read once an instance.
        self._http = Http(tokens, patience=patience, read_timeout=15.0)

    def store(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        # Generation 0: only if there is no such object yet.
        url = f"{self._origin}/upload/storage/v1/b/{quote(self._bucket, safe='')}/o?uploadType=media"
        url += f"&name={digest}&ifGenerationMatch=0"
        status, _answer = self._http.request("POST", url, data, {"content-type": "application/octet-stream"})
        if status not in (_OK, _EXISTS):
            raise Unavailable(f"Cloud Storage refuses to store a model: status {status}", reason="storage_refused")
        return digest

    def load(self, digest: str) -> bytes:
        url = f"{self._origin}/storage/v1/b/{quote(self._bucket, safe='')}/o/{named(digest)}?alt=media"
        status, answer = self._http.request("GET", url)
        if status == _NOT_FOUND:
            raise missing(digest, f"gs://{self._bucket}")
        if status != _OK:
            raise Unavailable(f"Cloud Storage refuses to give a model: status {status}", reason="storage_refused")
        return verified(answer, digest)
