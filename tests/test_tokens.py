"""Tokens: the vocabulary, words and pieces, rows, batches."""
import hashlib
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from electra_tutorial import tokens
from electra_tutorial.errors import UserError
from electra_tutorial.tokens import (
    CLS_ID,
    MASK_ID,
    PAD_ID,
    SEP_ID,
    SPECIAL_TOKENS,
    UNK_ID,
    Rows,
    batch_order,
    collate,
    decode_pieces,
    load_rows,
    load_tokenizer,
    longest_match,
    make_rows,
    save_rows,
    save_tokenizer,
    train_tokenizer,
    word_groups,
)


def made_up_lines(n, seed=0):
    """Lines of made-up words whose frequencies fall off as in a language, 3 to 30 words each."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyzéü"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 8))) for _ in range(600)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [" ".join(rng.choices(words, weights, k=max(3, round(rng.gauss(11, 5))))) + "." for _ in range(n)]


LINES = [*made_up_lines(1500), "The dog doesn't see the cats' ball; it is well-known.", "Don't go, Anna!"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(LINES, 700)


def rows_of(lengths):
    """Rows of the given lengths whose ids tell the row they come from."""
    ids = np.repeat(5 + np.arange(len(lengths)) % 60_000, lengths)
    return Rows(ids.astype(np.uint16), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


# --- the vocabulary ---------------------------------------------------------------------------------------
def test_special_tokens_have_the_ids_0_to_4(tokenizer):
    assert (PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID) == (0, 1, 2, 3, 4)
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert tokenizer.encode("dog", "dog").ids.count(SEP_ID) == 2


def test_two_processes_learn_the_same_vocabulary():
    code = (
        "import hashlib, tests.test_tokens as t; "
        "print(hashlib.sha256(t.train_tokenizer(t.LINES, 700).to_str().encode()).hexdigest())"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    answers = set()
    for seed, parallel in (("1", "true"), ("2", "false")):
        switches = {"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel, "PYTHONPATH": root}
        command, environment = [sys.executable, "-c", code], {**os.environ, **switches}
        answers.add(subprocess.check_output(command, env=environment, cwd=root, text=True).strip())
    answers.add(hashlib.sha256(train_tokenizer(LINES, 700).to_str().encode()).hexdigest())
    assert len(answers) == 1


def test_the_vocabulary_has_the_size_asked_for_and_no_piece_twice(tokenizer):
    assert tokenizer.get_vocab_size() == 700
    assert sorted(tokenizer.get_vocab().values()) == list(range(700))


def test_a_small_corpus_gives_a_smaller_vocabulary_rather_than_an_error():
    assert 5 < train_tokenizer(["a dog sees a cat", "a cat sees a dog"], 8192).get_vocab_size() < 100


def test_text_is_lower_cased_and_accents_are_folded(tokenizer):
    assert tokenizer.encode("The DOG").ids == tokenizer.encode("the dog").ids
    assert tokenizer.encode("dóg").ids == tokenizer.encode("dog").ids


def test_a_rare_script_becomes_unk_and_leaves_the_alphabet_alone():
    lines = ["".join(chr(97 + (i * j) % 26) for j in range(1, 9)) for i in range(400)]
    rare = "".join(chr(0xA000 + i) for i in range(400))  # Yi: one code point a syllable
    tokenizer = train_tokenizer([*lines * 3, rare], 900)
    single = [piece for piece in tokenizer.get_vocab() if len(piece) == 1]
    assert len(single) <= tokens.ALPHABET_LIMIT
    assert tokenizer.encode(chr(0xA000 + 399) + "a").ids == [CLS_ID, UNK_ID, SEP_ID]


def test_every_letter_that_was_seen_can_be_spelled(tokenizer):
    assert UNK_ID not in tokenizer.encode("zyxwvutsrqponmlkjihgfedcba").ids


@pytest.mark.parametrize(
    "lines, size, word", [([], 700, "no word"), (["", "  "], 700, "no word"), (["a b"], 7, "7 pieces")]
)
def test_a_vocabulary_from_nothing_is_refused_in_one_sentence(lines, size, word):
    with pytest.raises(UserError, match=word):
        train_tokenizer(lines, size)


def test_transformers_reads_the_same_ids_from_the_folder(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    save_tokenizer(tokenizer, tmp_path, max_length=48)
    text = "Don’t go, Anna [MASK] dog!"
    for theirs in (
        transformers.AutoTokenizer.from_pretrained(tmp_path),
        transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json")),
    ):
        assert theirs(text).input_ids == tokenizer.encode(text).ids
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.model_max_length, theirs.mask_token_id, theirs.pad_token_id) == (48, MASK_ID, PAD_ID)


def test_a_saved_tokenizer_comes_back_the_same(tokenizer, tmp_path):
    folder = save_tokenizer(tokenizer, tmp_path / "new" / "folder")
    assert load_tokenizer(folder).to_str() == tokenizer.to_str()
    assert load_tokenizer(folder / "tokenizer.json").to_str() == tokenizer.to_str()


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(UserError, match="no tokenizer at .*nowhere"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": "1.0"}', b"\xff\xfe\x00", b"[]"])
def test_a_damaged_tokenizer_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match="tokenizer.json is damaged"):
        load_tokenizer(tmp_path)


def test_a_foreign_tokenizer_is_refused(tmp_path):
    pieces = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "dog"]  # [PAD] and [UNK] the other way round
    foreign = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    foreign.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="another kind"):
        load_tokenizer(tmp_path)


# --- words and pieces -------------------------------------------------------------------------------------
@given(word=st.text("abcdefghijklmnopqrstuvwxyz'é#😀華", min_size=1, max_size=12))
def test_the_longest_match_is_what_the_library_finds(tokenizer, word):
    assert longest_match(word, tokenizer.get_vocab()) == [piece.value for piece in tokenizer.model.tokenize(word)]


def test_the_longest_match_is_greedy_and_may_lead_nowhere():
    assert longest_match("thing", {"th", "thi", "##ing", "##n", "##g"}) == ["thi", "##n", "##g"]
    assert longest_match("thing", {"th", "thi", "##ing"}) == ["[UNK]"]
    assert longest_match("thing", {"th", "ing"}) == ["[UNK]"]


def words_of(tokenizer, text):
    encoding = tokenizer.encode(text)
    return ["".join(encoding.tokens[i].removeprefix("##") for i in group) for group in word_groups(encoding)]


def test_an_apostrophe_between_letters_joins_a_word(tokenizer):
    assert words_of(tokenizer, "Anna doesn't see Don’t.") == ["anna", "doesn't", "see", "don't", "."]


def test_a_quote_or_a_plural_apostrophe_stays_apart(tokenizer):
    assert words_of(tokenizer, "the 'dog' cats' ball") == ["the", "'", "dog", "'", "cats", "'", "ball"]
    assert words_of(tokenizer, "don ' t") == ["don", "'", "t"]


@given(st.text(alphabet="abé' ’.-Q李🙂\t", max_size=30))
@settings(max_examples=60, deadline=None)
def test_word_groups_hold_every_piece_once_in_order(text):
    tokenizer = train_tokenizer(["a b", "ab ' . - q"] * 3, 100)
    encoding = tokenizer.encode(text)
    flat = [place for group in word_groups(encoding) for place in group]
    assert flat == list(range(1, len(encoding.ids) - 1))


def test_pieces_are_read_back_as_words(tokenizer):
    ids = tokenizer.encode("The dog doesn't see [MASK].").ids
    assert decode_pieces([*ids, PAD_ID, PAD_ID], tokenizer) == "the dog doesn't see [MASK]."


# --- rows -------------------------------------------------------------------------------------------------
def test_a_row_is_cls_pieces_sep(tokenizer):
    rows = make_rows(["the dog.", "", "anna"], tokenizer, 32)
    assert len(rows) == 2  # the empty line is no row
    assert rows[0].tolist() == tokenizer.encode("the dog.").ids
    assert rows[1].tolist() == rows[-1].tolist() == tokenizer.encode("anna").ids
    assert [len(row) for row in rows] == rows.lengths.tolist()


def test_no_row_is_longer_than_allowed_and_no_piece_is_lost(tokenizer):
    rows = make_rows(LINES[:300], tokenizer, 16)
    assert rows.lengths.max() <= 16
    pieces = sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in LINES[:300])
    assert (rows.lengths - 2).sum() == pieces


def test_a_longer_text_is_split_at_its_sentences(tokenizer):
    rows = make_rows(["The dog sees Anna. Anna doesn't see the dog. Don't go!"], tokenizer, 24)
    texts = [decode_pieces(row, tokenizer) for row in rows]
    assert texts == ["the dog sees anna.", "anna doesn't see the dog.", "don't go!"]


def test_a_sentence_that_is_too_long_is_cut_into_even_parts(tokenizer):
    rows = make_rows(["dog " * 33], tokenizer, 12)
    pieces = len(tokenizer.encode("dog", add_special_tokens=False).ids) * 33
    assert (rows.lengths - 2).sum() == pieces
    assert rows.lengths.max() - rows.lengths.min() <= 1


def test_packing_fills_rows_with_whole_sentences(tokenizer):
    lines = LINES[:400]
    packed, single = make_rows(lines, tokenizer, 64, packing=True), make_rows(lines, tokenizer, 64)
    assert len(packed) < len(single) / 1.5
    assert packed.lengths.max() <= 64
    keep = packed.ids[packed.ids > MASK_ID]
    assert np.array_equal(keep, single.ids[single.ids > MASK_ID])  # the same pieces in the same order
    assert (packed[0] == CLS_ID).sum() == (packed[0] == SEP_ID).sum() == 1


def test_a_corpus_that_talks_about_mask_does_not_smuggle_in_the_token(tokenizer):
    row = make_rows(["the [MASK] [SEP] dog"], tokenizer, 64)[0]
    assert MASK_ID not in row
    assert (row == SEP_ID).sum() == 1
    assert MASK_ID in tokenizer.encode("the [MASK] dog").ids  # where a person types it, it is the token


@pytest.mark.parametrize(
    "lines, max_length, word", [([], 32, "0 lines"), (["", " "], 32, "2 lines"), (["dog"], 2, "2 tokens")]
)
def test_a_corpus_smaller_than_a_row_is_refused_in_one_sentence(tokenizer, lines, max_length, word):
    with pytest.raises(UserError, match=word):
        make_rows(lines, tokenizer, max_length)


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(3, 20), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_text_gives_sound_rows_or_one_sentence(lines, max_length, packing):
    tokenizer = train_tokenizer(["abc abd. acd"] * 3, 100)
    try:
        rows = make_rows(lines, tokenizer, max_length, packing)
    except UserError as error:
        assert "smaller than a row" in str(error)
        return
    for row in rows:
        assert 3 <= len(row) <= max_length
        assert row[0] == CLS_ID and row[-1] == SEP_ID
        assert not np.isin(row[1:-1], (PAD_ID, CLS_ID, SEP_ID, MASK_ID)).any()


def test_kept_rows_are_read_again_only_for_the_same_text_and_settings(tokenizer, tmp_path, monkeypatch):
    first = make_rows(LINES[:50], tokenizer, 32, cache=tmp_path)
    monkeypatch.setattr(tokens, "fill_rows", lambda parts: pytest.fail("the kept rows were not used"))
    again = make_rows(LINES[:50], tokenizer, 32, cache=tmp_path)
    assert np.array_equal(first.ids, again.ids) and np.array_equal(first.starts, again.starts)
    for lines, length, packing in ((LINES[:51], 32, False), (LINES[:50], 31, False), (LINES[:50], 32, True)):
        with pytest.raises(pytest.fail.Exception, match="not used"):
            make_rows(lines, tokenizer, length, packing, cache=tmp_path)


def test_damaged_rows_are_named(tokenizer, tmp_path):
    save_rows(make_rows(LINES[:50], tokenizer, 32), tmp_path)
    (tmp_path / "ids.npy").write_bytes((tmp_path / "ids.npy").read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        load_rows(tmp_path)


@pytest.mark.parametrize("kept", [True, False])
def test_large_rows_stay_on_disk(tokenizer, tmp_path, monkeypatch, kept):
    expected = make_rows(LINES[:200], tokenizer, 32)
    assert not isinstance(expected.ids, np.memmap)
    monkeypatch.setattr(tokens, "MEMORY_LIMIT", 1000)
    rows = make_rows(LINES[:200], tokenizer, 32, cache=tmp_path if kept else None)
    assert isinstance(rows.ids, np.memmap)
    assert np.array_equal(rows.ids, expected.ids)
    assert collate(rows, np.array([0, 1]))[0].tolist() == collate(expected, np.array([0, 1]))[0].tolist()


# --- batches ----------------------------------------------------------------------------------------------
@given(st.lists(st.integers(3, 40), min_size=1, max_size=300), st.integers(1, 400), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_row_stands_in_exactly_one_batch_of_the_epoch(lengths, batch_tokens, epoch):
    rows = rows_of(lengths)
    batches = batch_order(rows, batch_tokens, 0, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * rows.lengths[batch].max() <= batch_tokens


def sentence_like_rows(n=20_000):
    lengths = np.random.default_rng(0).lognormal(2.5, 0.5, n).round().astype(int).clip(3, 64)
    return rows_of(lengths)


def test_hardly_any_padding_is_computed():
    rows = sentence_like_rows()
    batches = batch_order(rows, 1024, 0, 0)
    tokens_with_padding = sum(len(batch) * int(rows.lengths[batch].max()) for batch in batches)
    assert 1 - len(rows.ids) / tokens_with_padding < 0.03
    assert 0.9 * 1024 < tokens_with_padding / len(batches) <= 1024


def test_the_order_is_decided_by_seed_and_epoch_alone():
    rows = sentence_like_rows(2000)
    flat = {key: np.concatenate(batch_order(rows, 256, *key)).tolist() for key in ((0, 0), (0, 1), (1, 0))}
    torch.manual_seed(1)
    np.random.seed(1)
    assert flat[0, 0] == np.concatenate(batch_order(rows, 256, 0, 0)).tolist()
    assert flat[0, 0] != flat[0, 1] != flat[1, 0] != flat[0, 0]


def test_batches_do_not_come_from_short_to_long():
    rows = sentence_like_rows(5000)
    lengths = np.array([rows.lengths[batch].max() for batch in batch_order(rows, 512, 0, 0)])
    assert abs(np.corrcoef(lengths, np.arange(len(lengths)))[0, 1]) < 0.3


def test_rows_of_one_length_meet_other_rows_in_the_next_epoch():
    rows = rows_of([10] * 1000)
    together = [{frozenset(batch.tolist()) for batch in batch_order(rows, 100, 0, epoch)} for epoch in (0, 1)]
    assert not together[0] & together[1]


@given(st.lists(st.integers(3, 30), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_batch_holds_the_rows_and_a_mask_of_what_is_real(lengths):
    rows = rows_of(lengths)
    numbers = np.arange(len(lengths))[::-1].copy()
    ids, mask = collate(rows, numbers)
    assert ids.dtype == torch.long and mask.dtype == torch.bool
    assert ids.shape == mask.shape == (len(lengths), max(lengths))
    for line, real, number in zip(ids, mask, numbers, strict=True):
        assert line[real].tolist() == rows[number].tolist()
        assert (line[~real] == PAD_ID).all()
        assert real.tolist() == sorted(real.tolist(), reverse=True)  # padding only at the end
