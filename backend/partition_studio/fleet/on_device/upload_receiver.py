"""Takes the rest of an upload on stdin, appends it to a file, and hashes the whole; run on the device by `upload.sh`.

Prints a status (0, or 153 for a limit on file sizes, else 1) and the SHA-256, as the chain of programs does that takes
its place where no Python starts. Python 3.4 or later, standard library only; it reads nothing before it can write.
"""

import errno
import fcntl
import hashlib
import os
import sys

#: What may lie in the pipe and in the buffer here is a part of what is sent again after a power cut.
PIPE_BYTES = 256 * 1024
BUFFER_BYTES = 128 * 1024

#: F_SETPIPE_SZ of Linux, which `fcntl` names from Python 3.10 on.
_SET_PIPE_SIZE = 1031


def main() -> int:
    """Carry it out; the status is printed, and returned."""
    digest = hashlib.sha256()
    try:
        file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        buffer = memoryview(bytearray(BUFFER_BYTES))
        while True:
            count = os.readv(file, [buffer])
            if not count:
                break
            digest.update(buffer[:count])
        try:  # noqa: SIM105 - importing contextlib would make its start slower
            # The fewer turns the processes take, the less time goes into that; where it may not grow, it is slower.
            fcntl.fcntl(0, _SET_PIPE_SIZE, PIPE_BYTES)
        except OSError:
            pass
        while True:
            count = os.readv(0, [buffer])
            if not count:
                break
            written = 0
            while written < count:
                written += os.write(file, buffer[written:count])
            digest.update(buffer[:count])
    except OSError as error:
        sys.stderr.write(str(error) + "\n")
        status = 153 if error.errno == errno.EFBIG else 1
    else:
        status = 0
    sys.stdout.write("%d\n%s\n" % (status, digest.hexdigest()))  # noqa: UP031 - older Pythons have no other way
    return status


if __name__ == "__main__":
    sys.exit(main())
