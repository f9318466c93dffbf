"""One append to a shared file that is whole or does not count: room first, then one write."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import PurePosixPath

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE, fallocate(2)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def append(appender: int, descriptor: int, addition: bytes, path: PurePosixPath) -> None:
    """One write.  Where it was cut short the torn line is struck out and ended, or ssh's next one would be joined to it."""
    written = os.write(appender, addition) if addition else 0
    if written == len(addition):
        return
    tail = addition[:written].rpartition(b"\n")[2]
    end = os.lseek(appender, 0, os.SEEK_CUR)
    if tail and os.pread(descriptor, len(tail), end - len(tail)) == tail:
        os.pwrite(descriptor, b"#", end - len(tail))
        os.pwrite(descriptor, b"\n", end - 1)
    raise OSError(errno.ENOSPC, f"{path}: only a part could be written")


def reserve(descriptor: int, offset: int, length: int) -> None:
    """Room for the append, so that it is whole or does not happen.  File systems that cannot say so are trusted."""
    if not length:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    off_t = ctypes.c_int64
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, off_t, off_t]
    if libc.fallocate(descriptor, _KEEP_SIZE, offset, length) != 0:
        code = ctypes.get_errno()
        if code in _NO_ROOM:
            raise OSError(code, os.strerror(code))
