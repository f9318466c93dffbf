"""Public keys as `.pub` files, known_hosts and authorized_keys spell them."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Callable, Optional

from agent.model import PublicKey

# Names of signature schemes, which ssh takes for a type although the blob carries the other name.
ALIASES: Mapping[str, str] = {
    "rsa-sha2-256": "ssh-rsa",
    "rsa-sha2-512": "ssh-rsa",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
}

_WORDS = re.compile(rb"([^ \t]+)[ \t]+([^ \t]+)[ \t]*(.*)", re.DOTALL)
_BLANKS_IN_BASE64 = b"\t\n\v\f\r "
_MOST_FIELDS = 5
_SHORTEST_RSA = 1024
_LONGEST_NUMBER = 2048

# y^2 = x^3 - 3x + b mod p.  ssh skips a line whose point is not on the curve.
_CURVES: Mapping[bytes, tuple[int, int]] = {
    b"nistp256": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    b"nistp384": (
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        int(
            "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a"
            "c656398d8a2ed19d2a85c8edd3ec2aef",
            16,
        ),
    ),
    b"nistp521": (
        2**521 - 1,
        int(
            "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109"
            "e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
            16,
        ),
    ),
}


def parse_public(text: str) -> Optional[PublicKey]:
    """One line of a `.pub` file, without newline.  None for anything but exactly one key."""
    if not text.isprintable():
        return None
    key = read(text.strip(" ").encode("utf-8"))
    return key if key is not None and text.split(maxsplit=1)[0] == key.type else None


def read(text: bytes) -> Optional[PublicKey]:
    """The key ssh reads at the start of `text`: type, base64, and the rest as comment."""
    words = _WORDS.match(text)
    if words is None:
        return None
    kind = words[1].decode("ascii", "replace")
    kind = ALIASES.get(kind, kind)
    if kind not in _SHAPES:
        return None
    # b64_pton of libc, which ssh uses, skips every white space: a CRLF line ends in one.
    text64 = _genuine(kind, words[2].translate(None, _BLANKS_IN_BASE64))
    if text64 is None:
        return None
    # intern: a few types, thousands of keys
    return PublicKey(sys.intern(kind), text64, shown(words[3].rstrip(b" \t\r\n")))


@lru_cache(maxsize=1 << 16)  # a host's keys stand in its record, in our files and in other people's
def _genuine(kind: str, word: bytes) -> Optional[str]:
    """The base64 text of what is a key of that type."""
    blob = decoded(word)
    return word.decode("ascii") if blob is not None and _is_key(kind, blob) else None


def decoded(word: bytes) -> Optional[bytes]:
    """Base64 in its one canonical spelling, or None."""
    try:
        octets = base64.b64decode(word)
    except ValueError:
        return None
    return octets if base64.b64encode(octets) == word else None


def shown(octets: bytes) -> str:
    """Foreign bytes as text that can be printed and encoded: no control characters."""
    text = octets.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def fingerprint(key: PublicKey) -> str:
    """As `ssh-keygen -l` prints it."""
    from hashlib import sha256  # brings OpenSSL with it, and most runs print no fingerprint

    digest = sha256(decoded(key.blob.encode("utf-8", "replace")) or b"").digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def _is_key(kind: str, blob: bytes) -> bool:
    fields = _fields(blob)
    if fields is None or fields[0] != kind.encode("ascii"):
        return False
    return _SHAPES[kind](fields[1:])


def _fields(blob: bytes) -> Optional[list[bytes]]:
    """The length-prefixed strings that make up the whole blob."""
    fields: list[bytes] = []
    offset = 0
    while offset < len(blob) and len(fields) < _MOST_FIELDS:
        start = offset + 4
        offset = start + int.from_bytes(blob[offset:start], "big")
        if start > len(blob) or offset > len(blob):
            return None
        fields.append(blob[start:offset])
    return fields if fields and offset == len(blob) else None


def _ed25519(fields: list[bytes]) -> bool:
    return len(fields) == 1 and len(fields[0]) == 32


def _security_ed25519(fields: list[bytes]) -> bool:
    return len(fields) == 2 and len(fields[0]) == 32


def _rsa(fields: list[bytes]) -> bool:
    if len(fields) != 2 or not all(map(_is_number, fields)):
        return False
    return int.from_bytes(fields[1], "big").bit_length() >= _SHORTEST_RSA


def _dsa(fields: list[bytes]) -> bool:
    return len(fields) == 4 and all(map(_is_number, fields))


def _is_number(field: bytes) -> bool:
    # A set top bit means a negative number; a leading zero octet is there to avoid that.
    return field[:1] < b"\x80" and len(field.lstrip(b"\0")) <= _LONGEST_NUMBER


def _ecdsa(curve: bytes) -> Callable[[list[bytes]], bool]:
    def matches(fields: list[bytes]) -> bool:
        return len(fields) == 2 and fields[0] == curve and _on_curve(curve, fields[1])

    return matches


def _security_ecdsa(fields: list[bytes]) -> bool:
    return len(fields) == 3 and fields[0] == b"nistp256" and _on_curve(b"nistp256", fields[1])


def _on_curve(curve: bytes, point: bytes) -> bool:
    prime, b = _CURVES[curve]
    width = (prime.bit_length() + 7) // 8
    if len(point) != 1 + 2 * width or point[:1] != b"\x04":  # uncompressed
        return False
    x = int.from_bytes(point[1 : 1 + width], "big")
    y = int.from_bytes(point[1 + width :], "big")
    return x < prime and y < prime and (y * y - (x * x - 3) * x - b) % prime == 0


_SHAPES: Mapping[str, Callable[[list[bytes]], bool]] = {
    "ssh-ed25519": _ed25519,
    "ssh-rsa": _rsa,
    "ssh-dss": _dsa,
    "ecdsa-sha2-nistp256": _ecdsa(b"nistp256"),
    "ecdsa-sha2-nistp384": _ecdsa(b"nistp384"),
    "ecdsa-sha2-nistp521": _ecdsa(b"nistp521"),
    "sk-ssh-ed25519@openssh.com": _security_ed25519,
    "sk-ecdsa-sha2-nistp256@openssh.com": _security_ecdsa,
}
