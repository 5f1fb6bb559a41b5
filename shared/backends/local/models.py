"""Models as files named by their digest."""

import hashlib
import os
import tempfile
from pathlib import Path

from shared.backends.artifacts import missing, named, verified
from shared.domain.errors import Unavailable


class FileModels:
    """`shared.flows.ports.Models` in a folder, which is made when the first model is stored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A reader sees the whole file or none.
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._folder / digest)
        except OSError as error:
            raise Unavailable(f"the models' folder cannot be written: {error.strerror}") from error
        return digest

    def load(self, digest: str) -> bytes:
        try:
            data = (self._folder / named(digest)).read_bytes()
        except FileNotFoundError:
            raise missing(digest, str(self._folder)) from None
        except OSError as error:
            raise Unavailable(f"the models' folder cannot be read: {error.strerror}") from error
        return verified(data, digest)
