"""Lines in files that are on disk before they count as saved.

Lines that wait at the same moment are written and synced together: a disk that syncs a hundred
times a second takes thousands of lines.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path

_CHUNK = 1 << 16


class Journal:
    """Appends lines from many tasks of one event loop. No other process may write the files."""

    def __init__(self) -> None:
        self._waiting: dict[Path, list[tuple[bytes, asyncio.Future[None]]]] = {}
        self._writer: asyncio.Task[None] | None = None

    async def append(self, file: Path, line: bytes) -> None:
        """Returns once the line is on disk. After an OSError the file has nothing of it."""
        saved = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(file, []).append((line + b"\n", saved))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await saved

    async def _write(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting, {}
            for file, lines in together.items():
                error: Exception | None = None
                try:
                    await asyncio.to_thread(append, file, b"".join(line for line, _ in lines))
                except Exception as raised:  # whoever waits must get an answer
                    error = raised
                for _, saved in lines:
                    if saved.done():
                        continue  # its task was cancelled
                    if error:
                        saved.set_exception(error)
                    else:
                        saved.set_result(None)


def append(file: Path, lines: bytes) -> None:
    """Appends whole lines and syncs them. After an OSError the file has none of them."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        end = _mend(descriptor)
        if end == 0:
            sync_folder(file.parent)  # the file's name must be on disk too
        try:
            written = 0
            while written < len(lines):
                written += os.write(descriptor, lines[written:])
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):  # else the next line or the next start mends it
                os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def mend(file: Path) -> None:
    """Ends the last line of `file`, or cuts it off if a writer was killed in the middle of it."""
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND)
    try:
        _mend(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mend(descriptor: int) -> int:
    """Mends the last line, and returns where the file then ends."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    last, start = b"", size
    while start > 0 and b"\n" not in last:
        length = min(_CHUNK, start)
        start -= length
        last = os.pread(descriptor, length, start) + last
    last = last[last.rfind(b"\n") + 1 :]
    try:
        json.loads(last)
    except ValueError:
        end = size - len(last)
        os.ftruncate(descriptor, end)
        return end
    # A whole line: an editor left out its end, or the writer was killed just before it.
    os.write(descriptor, b"\n")
    return size + 1
