"""Text in pieces: no half characters, no part of a stop string, and nothing lost, in any split."""

import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.tasks.text_generation.text_pieces import StopStrings, TextPieces
from models.tasks.text_generation.tokenizer import Tokenizer
from tests.template.models.tasks.text_generation.texts import real_text
from tests.tiny_tokenizers import KINDS

WORDS = ["The", " capital", "is", " ", "  ", "\n", "漢字", "हिन्दी", "👩\u200d👧", "e\u0301", "é", "مرحبا"]
WORDS += ["\ufffd", "▁", "##s", "</s>", "."]
SOME_TEXT = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=20).map("".join))
SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=10)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    return {kind: real_text(tmp_path_factory.mktemp(kind), kind).tokenizer for kind in KINDS}


def in_steps(token_ids: Sequence[int], sizes: Sequence[int]) -> Iterator[Sequence[int]]:
    """`token_ids` in steps of `sizes`, repeated."""
    at = number = 0
    while at < len(token_ids):
        yield token_ids[at : at + sizes[number % len(sizes)]]
        at, number = at + sizes[number % len(sizes)], number + 1


def pieces_of(pieces: TextPieces, steps: Iterator[Sequence[int]]) -> list[str]:
    return [*(pieces.push(step) for step in steps), pieces.rest()]


@pytest.mark.parametrize("kind", KINDS)
@given(text=SOME_TEXT, sizes=SIZES)
@example(text=" 漢字 and more", sizes=[1])
@example(text="好" * 40, sizes=[3])
@settings(deadline=None, max_examples=150, database=None, derandomize=True)
def test_any_split_of_a_text_decodes_to_the_same_text(
    tokenizers: dict[str, Tokenizer], kind: str, text: str, sizes: list[int]
) -> None:
    tokenizer = tokenizers[kind]
    token_ids = tokenizer.encode(text)
    assert "".join(pieces_of(TextPieces(tokenizer), in_steps(token_ids, sizes))) == tokenizer.decode(token_ids)


@pytest.mark.parametrize("kind", KINDS)
@given(text=SOME_TEXT)
@settings(deadline=None, max_examples=150, database=None, derandomize=True)
def test_each_piece_is_sent_as_early_as_possible(tokenizers: dict[str, Tokenizer], kind: str, text: str) -> None:
    """After every token, all complete characters have been sent: at most the last three tokens are held back."""
    tokenizer = tokenizers[kind]
    token_ids, pieces, sent = tokenizer.encode(text), TextPieces(tokenizer), ""
    whole = tokenizer.decode(token_ids)
    for number, token_id in enumerate(token_ids, start=1):
        sent += pieces.push([token_id])
        ends = [tokenizer.decode(token_ids[: max(0, number - held)]) for held in range(4)]
        assert whole.startswith(sent)
        assert len(sent) >= len(next(text for text in [*ends, ""] if not text.endswith("\ufffd")))


@given(content=st.binary(max_size=60), sizes=SIZES)
@settings(deadline=None, max_examples=150, database=None, derandomize=True)
def test_any_split_of_invalid_bytes_decodes_to_the_same_text(
    tokenizers: dict[str, Tokenizer], content: bytes, sizes: list[int]
) -> None:
    tokenizer = tokenizers["byte-level"]
    spelled = {tokenizer.bytes_of(token_id): token_id for token_id in range(4, 260)}
    token_ids = [spelled[bytes([byte])] for byte in content]
    pieces = pieces_of(TextPieces(tokenizer), in_steps(token_ids, sizes))
    assert "".join(pieces) == tokenizer.decode(token_ids) == content.decode("utf-8", "replace")


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback"])
def test_a_character_of_several_tokens_is_sent_in_one_piece(tokenizers: dict[str, Tokenizer], kind: str) -> None:
    token_ids = tokenizers[kind].encode("a漢👩")
    pieces = pieces_of(TextPieces(tokenizers[kind]), iter([[token_id] for token_id in token_ids]))
    assert [piece for piece in pieces if piece] == ["a", "漢", "👩"]


@pytest.mark.parametrize(("kind", "rest"), [("byte-level", "\ufffd"), ("byte-fallback", "\ufffd\ufffd\ufffd")])
def test_an_unfinished_character_is_held_back_and_released_at_the_end(
    tokenizers: dict[str, Tokenizer], kind: str, rest: str
) -> None:
    """Byte-level BPE writes one U+FFFD for an incomplete character, sentencepiece one for each of its bytes."""
    *begun, _ = tokenizers[kind].encode("👩")
    pieces = TextPieces(tokenizers[kind])
    assert [pieces.push(begun), pieces.rest()] == ["", rest]


@pytest.mark.parametrize("kind", ["byte-fallback", "unigram"])
def test_a_continued_text_keeps_its_first_space_and_an_answer_has_none(
    tokenizers: dict[str, Tokenizer], kind: str
) -> None:
    tokenizer = tokenizers[kind]
    prompt, whole = tokenizer.encode("The capital of"), tokenizer.encode("The capital of France")
    assert TextPieces(tokenizer, after=prompt).push(whole[len(prompt) :]) == " France"
    assert TextPieces(tokenizer).push(whole[len(prompt) :]) == "France"


def test_special_tokens_and_unknown_ids_are_not_text(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["byte-fallback"]
    token_ids = tokenizer.encode("one</s> two")
    assert TextPieces(tokenizer).push([*token_ids, tokenizer.count + 7]) == tokenizer.decode(token_ids)


def test_no_tokens_give_no_text(tokenizers: dict[str, Tokenizer]) -> None:
    assert TextPieces(tokenizers["byte-level"]).rest() == ""
    assert StopStrings([]).rest() == ""


def split(text: str, rng: random.Random) -> Iterator[str]:
    """`text` in pieces of random length."""
    at = 0
    while at < len(text):
        end = at + rng.randint(1, 5)
        yield text[at:end]
        at = end


def cut(stops: list[str], pieces: Sequence[str]) -> tuple[str, bool]:
    """The text that is sent for `pieces`, and whether a stop string was found."""
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


def test_only_a_possible_beginning_of_a_stop_string_is_held_back() -> None:
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


def test_one_stop_string_cuts_like_str_partition_in_any_split() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        text = "".join(rng.choices("abc", k=rng.randint(0, 20)))
        stop = "".join(rng.choices("abc", k=rng.randint(1, 4)))
        before, met, _ = text.partition(stop)
        assert cut([stop], list(split(text, rng))) == (before, bool(met)), (text, stop)


def test_several_stop_strings_cut_at_the_same_position_in_any_split() -> None:
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
