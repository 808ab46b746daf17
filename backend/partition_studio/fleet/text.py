"""Texts that come from a device are made harmless before anyone sees them."""

import re
import unicodedata

MAX_SHOWN_CHARACTERS = 8_000

#: ECMA-48 control sequences and operating system commands: colours, cursor moves, window titles.
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?<=>!]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")


def clean_text(text: str, *, keep_lines: bool = False, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """Return `text` without escape sequences, control and direction-changing characters, cut to `limit` characters.

    With `keep_lines`, line feeds stay and the end of a long text is kept; otherwise they become spaces and its
    beginning is kept.
    """
    bounded = text[-4 * limit :] if keep_lines else text[: 4 * limit]
    without_escapes = _ESCAPES.sub("", bounded)
    shown = "".join(_shown(character, keep_lines) for character in without_escapes)
    if keep_lines:
        return shown[-limit:]
    return " ".join(shown.split())[:limit]


def decode_clean(data: bytes, *, keep_lines: bool = False, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """Return what `clean_text` makes of bytes that should be UTF-8."""
    return clean_text(data.decode("utf-8", errors="replace"), keep_lines=keep_lines, limit=limit)


def _shown(character: str, keep_lines: bool) -> str:
    if character == "\n":
        return "\n" if keep_lines else " "
    if character == "\t":
        return " "
    # Cc control, Cf format (bidirectional overrides, zero width), Cs surrogate, Zl/Zp line separators.
    return "" if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character
