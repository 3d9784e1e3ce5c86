"""Names, labels and messages of others, made safe to print and to draw."""

import reprlib
import unicodedata

# Controls, surrogates (bytes of a name that are no UTF-8), lines' and paragraphs' ends, and marks that turn the
# direction of what follows.
_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F}


def shortened(value: object) -> str:
    """A value as Python writes it, with most of what is long or deep left out."""
    return printable(_SHORT.repr(value))


def printable(text: str, keep: str = "") -> str:
    r"""Return ``text`` on one line, with all that would move a cursor or change a colour as backslash escapes.

    Args:
        text: whatever a file, an archive or a hub says.
        keep: characters that stay, such as ``"\n"`` of a text of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in keep or not (unicodedata.category(character) in _CATEGORIES or ord(character) in _TURNING)
        else character.encode("unicode_escape").decode()
        for character in text
    )
