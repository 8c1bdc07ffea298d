"""Checks the text or texts of a prediction before time or memory is spent on them."""

from models.errors import InputError

MOST_TEXTS = 20_000
MOST_CHARACTERS = 10_000_000


def given_texts(text: str | None, texts: list[str] | None) -> list[str]:
    """The texts in the inputs `text` and `texts`; a caller sends one of the two.

    Raises:
        InputError: none or both are sent, a text is empty, or the texts are too many or too long for one call.
    """
    if (text is None) == (texts is None):
        raise InputError("send either text or texts" if text is None else "text and texts exclude each other: send one")
    given = [text or ""] if texts is None else texts
    if not given:
        raise InputError("texts is empty: send at least one text")
    if len(given) > MOST_TEXTS:
        raise InputError(f"texts has {len(given)} texts, and a call takes at most {MOST_TEXTS}: send several calls")
    for number, one in enumerate(given, start=1):
        if not isinstance(one, str):
            raise InputError(f"text {number} of texts is {type(one).__name__}, not a text")
        if not one.strip():
            raise InputError("text is empty" if texts is None else f"text {number} of texts is empty: leave it out")
    if (characters := sum(map(len, given))) > MOST_CHARACTERS:
        raise InputError(
            f"the texts have {characters} characters, and a call takes at most {MOST_CHARACTERS}: send several calls"
        )
    return given
