"""Journal of an upload: how many of its items are settled, for the next run to go on behind them."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from infomax.client.errors import JournalError
from infomax.client.jobs import UploadItem


class Journal:
    """File with the number of settled items, and a digest of their ids in order.

    An item is settled when the service has it on its disk, or when it failed alone. The file is replaced as a
    whole after each chunk, so a run that is killed repeats the chunks on their way at most.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        """Read the journal; one that does not exist is empty.

        Raises:
            JournalError: the file is not a journal.
        """
        self._path = Path(path)
        self._digest = hashlib.sha256()
        self.settled = 0
        self._expected = self._digest.hexdigest()
        try:
            stored = json.loads(self._path.read_text())
            self.settled, self._expected = int(stored["settled"]), str(stored["ids_sha256"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"The journal {self._path} cannot be read ({error}). Remove it to begin anew."
            ) from error

    def skip(self, items: Iterable[UploadItem]) -> Iterator[UploadItem]:
        """Leave out the settled items at the beginning.

        Raises:
            JournalError: they are not the items that the journal was written for.
        """
        rest = iter(items)
        for place in range(self.settled):
            item = next(rest, None)
            if item is None:
                raise self._other(f"the upload has {place} items and the journal {self.settled}")
            self._add(item.id)
        if self._digest.hexdigest() != self._expected:
            raise self._other("the ids of the items differ")
        return rest

    def settle(self, ids: Sequence[str]) -> None:
        """Write that further items are settled.

        Raises:
            JournalError: the file cannot be written.
        """
        for one in ids:
            self._add(one)
        self.settled += len(ids)
        part = self._path.with_name(self._path.name + ".part")
        try:
            part.write_text(json.dumps({"settled": self.settled, "ids_sha256": self._digest.hexdigest()}))
            part.replace(self._path)
        except OSError as error:
            raise JournalError(
                f"The journal {self._path} cannot be written ({error}). Choose another path."
            ) from error

    def _add(self, item: str) -> None:
        # Their lengths too: the ids "a", "bc" are not "ab", "c".
        name = item.encode("utf-8", "surrogatepass")
        self._digest.update(b"%d:%s" % (len(name), name))

    def _other(self, reason: str) -> JournalError:
        return JournalError(
            f"The journal {self._path} belongs to another upload: {reason}. Remove it to begin anew."
        )
