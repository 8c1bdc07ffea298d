"""Text that comes in pieces: no half characters, nothing of a stop string, nothing lost, in whatever split it comes."""

import random
from collections.abc import Callable, Iterator, Sequence

import pytest

from models import manifest, weights
from models.tasks.text_pieces import StopStrings, TextPieces
from scripts.weights import ensure

TEXTS = [
    "The sea is salty because rivers carry salts from the rocks. " * 4,
    "日本語の文章を、少しずつ書き足していきます。" * 5,
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 e\u0301 ñ 𝄞 𐍈 𠜎 " * 5,
    "مرحبا بالعالم، كيف حالك؟ " * 5,
    "  two  spaces\n\n\ttabs and def f(x):\n    return {x: [1, 2]}\n" * 3,
    "a real \ufffd, and two \ufffd\ufffd, then more",
]


def utf8(token_ids: Sequence[int]) -> str:
    """A vocabulary whose tokens are bytes; an unfinished character ends in U+FFFD, as transformers decodes it."""
    return bytes(token_ids).decode("utf-8", "replace")


def split(items: Sequence[int] | str, rng: random.Random, longest: int = 5) -> Iterator[Sequence[int] | str]:
    """`items` in pieces of random length."""
    at = 0
    while at < len(items):
        end = at + rng.randint(1, longest)
        yield items[at:end]
        at = end


def pieces_of(decode: Callable[[Sequence[int]], str], steps: Iterator[Sequence[int]]) -> list[str]:
    pieces = TextPieces(decode)
    return [*(pieces.push(step) for step in steps), pieces.rest()]


@pytest.fixture(scope="module")
def tokenizer() -> tuple[Callable[[str], list[int]], Callable[[Sequence[int]], str]]:
    """Encode and decode of the default model's real tokenizer."""
    model = manifest.selected()
    ensure(model, model.engine_on("cpu"))
    import openvino_genai

    real = openvino_genai.Tokenizer(str(weights.folder(model.slug, model.engine_on("cpu").engine)))
    return (
        lambda text: real.encode(text, add_special_tokens=False).input_ids.data.flatten().tolist(),
        lambda token_ids: real.decode(list(token_ids)),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_real_tokens_in_any_split_give_the_whole_text(tokenizer, text: str) -> None:
    encode, decode = tokenizer
    token_ids, rng = encode(text), random.Random(text)
    assert decode(token_ids) == text
    for _ in range(30):
        assert "".join(pieces_of(decode, split(token_ids, rng))) == text


def test_any_real_tokens_give_what_decoding_them_at_once_gives(tokenizer) -> None:
    _, decode = tokenizer
    rng = random.Random(0)
    for _ in range(60):
        token_ids = [rng.randrange(49152) for _ in range(50)]
        assert "".join(pieces_of(decode, split(token_ids, rng))) == decode(token_ids)


def test_a_real_character_of_several_tokens_comes_in_one_piece(tokenizer) -> None:
    encode, decode = tokenizer
    token_ids = encode("👩")
    assert len(token_ids) > 1
    pieces = pieces_of(decode, iter([[token_id] for token_id in token_ids]))
    assert [piece for piece in pieces if piece] == ["👩"]


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_in_any_split_give_the_whole_text_and_no_half_character(text: str) -> None:
    rng = random.Random(text)
    for _ in range(30):
        pieces = pieces_of(utf8, split(text.encode(), rng))
        assert "".join(pieces) == text
        assert sum(piece.count("\ufffd") for piece in pieces) == text.count("\ufffd")


def test_random_bytes_in_any_split_give_what_decoding_them_at_once_gives() -> None:
    rng = random.Random(0)
    for _ in range(200):
        content = rng.randbytes(60)
        assert "".join(pieces_of(utf8, split(content, rng))) == utf8(content)


def test_an_unfinished_character_is_held_back_and_released_at_the_end() -> None:
    pieces = TextPieces(utf8)
    assert [pieces.push("é".encode()), pieces.push(b"\xf0\x9f"), pieces.push(b"\x98")] == ["é", "", ""]
    assert pieces.rest() == "\ufffd"


def test_nothing_comes_of_nothing() -> None:
    assert TextPieces(utf8).rest() == ""
    assert StopStrings([]).rest() == ""


def test_only_the_last_tokens_are_decoded_anew() -> None:
    longest = 0

    def decode(token_ids: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(token_ids))
        return utf8(token_ids)

    pieces_of(decode, iter([[byte] for byte in b"salt water " * 200]))
    assert longest <= 20


def cut(stops: list[str], pieces: Sequence[str]) -> tuple[str, bool]:
    """What is sent of `pieces`, and whether a stop string was met."""
    cutter = StopStrings(stops)
    sent = [cutter.push(piece) for piece in pieces]
    return "".join(sent) + cutter.rest(), cutter.found


@pytest.mark.parametrize(
    ("stops", "pieces", "sent", "found"),
    [
        (["STOP"], ["one ST", "OP two"], "one ", True),
        (["STOP"], ["S", "T", "O", "P"], "", True),
        (["STOP"], ["STOP at the start"], "", True),
        (["STOP"], ["at the end ", "STOP"], "at the end ", True),
        (["STOP"], ["one STO", "NE"], "one STONE", False),
        (["STOP"], ["one STO"], "one STO", False),
        (["aab"], ["aa", "ab", "c"], "a", True),
        (["abab"], ["aba", "cab", "ab"], "abac", True),
        (["\n\n"], ["a\n", "b\n", "\nc"], "a\nb", True),
        (["ab", "abc"], ["xabc"], "x", True),
        (["abc", "ab"], ["xa", "b", "c"], "x", True),
        (["abc", "bd"], ["ab", "d"], "a", True),
        (["X", "Y"], ["one Y two X"], "one ", True),
        (["é"], ["caf", "é!"], "caf", True),
        ([], ["no ", "stop"], "no stop", False),
    ],
)
def test_text_ends_before_the_first_stop_string(stops: list[str], pieces: list[str], sent: str, found: bool) -> None:
    assert cut(stops, pieces) == (sent, found)


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    cutter = StopStrings(["STOP"])
    assert [cutter.push("sea salt"), cutter.push(" S"), cutter.push("T"), cutter.push("ill")] == [
        "sea salt",
        " ",
        "",
        "STill",
    ]


def test_nothing_is_sent_after_a_stop_string() -> None:
    cutter = StopStrings(["."])
    assert [cutter.push("One. Two"), cutter.push("Three"), cutter.rest()] == ["One", "", ""]


def test_one_stop_string_cuts_like_partition_in_any_split() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        text = "".join(rng.choices("abc", k=rng.randint(0, 20)))
        stop = "".join(rng.choices("abc", k=rng.randint(1, 4)))
        before, met, _ = text.partition(stop)
        assert cut([stop], list(split(text, rng))) == (before, bool(met)), (text, stop)


def test_several_stop_strings_cut_at_the_same_place_in_any_split() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        text = "".join(rng.choices("abcd", k=rng.randint(0, 20)))
        stops = ["".join(rng.choices("abcd", k=rng.randint(1, 4))) for _ in range(rng.randint(2, 3))]
        at_once = cut(stops, [text])
        assert cut(stops, list(split(text, rng))) == at_once, (text, stops)
        sent, found = at_once
        assert found == any(stop in text for stop in stops)
        assert not any(stop in sent for stop in stops)
        assert not found or any(text[len(sent) :].startswith(stop) for stop in stops)
