"""What the scripts send: a picture, a mask, a recording."""

import io
import os
import struct
import sys
import wave
import zlib

BASE = os.environ["BASE"]
KEYLESS = os.environ["KIND"] == "keyless"


def model(name):
    """A model of the stand-in upstream; without one the platform's own answers."""
    return "" if KEYLESS else f"acme/{name}"


# What an answer to "one two three" holds: the stand-in upstream says it again, the platform's own says what it is.
SAID = "No language model runs here" if KEYLESS else "one two three"
# A change that whoever answers understands.
CHANGE = "make it brighter" if KEYLESS else "grass"


def png(width, height, pixel):
    """A PNG of RGBA pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture():
    return png(64, 64, lambda x, y: (x * 3, y * 3, 90, 255))


def mask():
    """Transparent on the left, as OpenAI says what is to be painted."""
    return png(64, 64, lambda x, y: (0, 0, 0, 0 if x < 32 else 255))


def recording():
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(b"".join(struct.pack("<h", (i * 37 % 2000) * 8 - 8000) for i in range(8000)))
    return file.getvalue()


def is_png(data, size=None):
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:16]
    if size:
        assert struct.unpack(">II", data[16:24]) == size, struct.unpack(">II", data[16:24])


def run(steps):
    """Runs every step; the exit status says whether all passed."""
    failed = 0
    for step in steps:
        try:
            step()
            print(f"ok      {step.__name__}")
        except Exception as error:  # noqa: BLE001: each is told, and the next still runs.
            failed += 1
            print(f"FAILED  {step.__name__}: {type(error).__name__}: {error}")
    sys.exit(1 if failed else 0)
