"""Text to tokens: a WordPiece tokenizer of our own, and rows of numbers that fit into a batch.

Text is lower-cased, cut at spaces and punctuation into words, and each word into the longest pieces that
the vocabulary knows; a piece that goes on inside a word is written with "##" in front ("un", "##believ",
"##able"). A row is what the model reads at once: [CLS] pieces [SEP]. The default is one sentence a row, so
that a position means "the n-th piece of a sentence", and rows of like length share a batch, so that hardly
any padding is computed.
"""
import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from electra_tutorial.corpus import split_sentences
from electra_tutorial.errors import UserError

# Stated, so that `tokenizers` uses all cores and does not warn when a notebook later starts another process.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID = range(5)
ALPHABET_LIMIT = 200  # the commonest characters; a word with any other character becomes [UNK]
MEMORY_LIMIT = 64 * 2**20  # bytes: a larger array of rows is read from a file as needed (memory-mapped)
LINES_AT_ONCE = 20_000  # encoded in one call: enough to keep every core busy, few enough to fit into memory


# --- the vocabulary ---------------------------------------------------------------------------------------
def wordpiece(vocabulary):
    """A lower-casing WordPiece `Tokenizer` for a dict {piece: id}; puts [CLS] and [SEP] around every text."""
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    straight = normalizers.Replace("’", "'")  # so that "don’t", as a phone writes it, is the word "don't"
    tokenizer.normalizer = normalizers.Sequence([straight, normalizers.BertNormalizer(lowercase=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    if vocabulary:
        tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", CLS_ID), ("[SEP]", SEP_ID)],
        )
    return tokenizer


def count_words(lines):
    """How often each word stands in the lines, cut and lower-cased as the tokenizer does it: a Counter."""
    chunks = Counter(chunk for line in lines for chunk in line.split())
    blank, words = wordpiece({}), Counter()
    for chunk, count in chunks.items():
        for word, _ in blank.pre_tokenizer.pre_tokenize_str(blank.normalizer.normalize_str(chunk)):
            words[word] += count
    return words


def choose_alphabet(words, limit):
    """The commonest characters of the words, at most `limit`, and those of them that stand inside a word."""
    characters = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    alphabet = sorted(sorted(characters), key=lambda c: -characters[c])[:limit]
    inside = {character for word in words for character in word[1:]}
    return sorted(alphabet), sorted(inside & set(alphabet))


def train_tokenizer(lines, vocab_size):
    """Learn a WordPiece vocabulary of at most `vocab_size` pieces: a `tokenizers.Tokenizer`.

    The same lines give the same vocabulary in any process. The trainer alone does not: it numbers the "##"
    letters in the order of a hash table, and pairs that are equally frequent are merged in the order of
    their numbers. So we number these letters ourselves, by handing them over as special tokens, and rebuild
    a plain WordPiece afterwards. A small corpus gives fewer pieces than asked for: read
    `tokenizer.get_vocab_size()`. Raises UserError when the lines hold no word, or `vocab_size` leaves no
    room for letters or does not fit into 16 bits.
    """
    if not 100 <= vocab_size <= 65_536:
        raise UserError(f"A vocabulary of {vocab_size} pieces cannot be used: choose between 100 and 65536.")
    lines = list(lines)
    words = count_words(lines)
    if not words:
        raise UserError(f"There is no word in the {len(lines)} lines of the corpus: give one with some text.")
    alphabet, inside = choose_alphabet(words, min(ALPHABET_LIMIT, vocab_size // 4))
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=2,  # a piece seen once teaches nothing
        special_tokens=[*SPECIAL_TOKENS, *("##" + character for character in inside)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner = wordpiece({})
    learner.train_from_iterator(lines, trainer)
    return wordpiece(learner.get_vocab())


def save_tokenizer(tokenizer, folder, max_length=512):
    """Write tokenizer.json and, for `transformers`, tokenizer_config.json; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length}
    config.update(zip(names, SPECIAL_TOKENS, strict=True))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def load_tokenizer(path):
    """The `tokenizers.Tokenizer` in a model folder (or a tokenizer.json itself).

    Raises UserError when the file is missing or damaged, or was made for another model: our models count on
    the five special tokens having the ids 0 to 4.
    """
    path = Path(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"There is no tokenizer at {file}: give a folder made by `electra-tutorial train`.")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception, whatever is wrong with the file
        raise UserError(f"{file} is damaged ({error}): copy it again or train anew.") from error
    found = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
    if list(found.values()) != list(range(len(SPECIAL_TOKENS))):
        raise UserError(
            f"{file} is a tokenizer of another kind: its special tokens have the ids {found}, "
            "where this course needs 0 to 4. Use the tokenizer.json that was saved with the model."
        )
    tokenizer.no_truncation()  # a file may carry settings that would silently cut or fill what we encode
    tokenizer.no_padding()
    return tokenizer


# --- words and pieces -------------------------------------------------------------------------------------
def longest_match(word, vocabulary):
    """Cut one word into the longest pieces that `vocabulary` holds, from left to right: a list of str.

    A piece that does not begin the word is looked up with "##" in front. Where no piece fits, the whole word
    is ["[UNK]"]. `vocabulary`: a set of pieces, or a dict with the pieces as keys. The `tokenizers` library
    does the same to every word, only faster (and gives up on words of more than 100 characters).
    """
    pieces, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        ends = range(len(word), start, -1)  # the longest first
        end = next((end for end in ends if mark + word[start:end] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(mark + word[start:end])
        start = end
    return pieces


def word_groups(encoding):
    """Which pieces make up one word: a list of lists of piece positions, in order, special tokens left out.

    `encoding.word_ids` takes every punctuation mark for a word of its own, so "don't" would be three words.
    Here an apostrophe between two letters joins them: one word of three pieces, don ' t. Other marks stay
    words of their own ("dog" and "."), and so do the parts of "well-known". Needs offsets: `tokenizer.encode`
    gives them, `encode_batch_fast` does not. If you have a list of words, you need none of this:
    `tokenizer.encode(words, is_pretokenized=True).word_ids` numbers them as given.
    """
    groups = []
    word_ids, tokens, offsets = encoding.word_ids, encoding.tokens, encoding.offsets  # each a new list when asked for
    for place, word in enumerate(word_ids):
        if word is None:
            continue
        if groups and (word == word_ids[groups[-1][-1]] or joined(tokens, offsets, groups[-1], place)):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def joined(tokens, offsets, group, place):
    """Whether the piece at `place` carries on the word in `group` across an apostrophe, without a space."""
    last = group[-1]
    touching = offsets[last][1] == offsets[place][0]
    if tokens[place] == "'":  # an apostrophe belongs to the word before it only if a letter follows
        follows = place + 1 < len(tokens) and offsets[place + 1][0] == offsets[place][1]
        return touching and follows and tokens[last][-1].isalpha() and tokens[place + 1][0].isalpha()
    return touching and len(group) > 1 and tokens[last] == "'"


def decode_pieces(ids, tokenizer):
    """The text of some ids: pieces joined into words, [CLS], [SEP] and [PAD] left out, [MASK] kept."""
    kept = [int(i) for i in ids if int(i) not in (PAD_ID, CLS_ID, SEP_ID)]
    text = tokenizer.decode(kept, skip_special_tokens=False)
    return re.sub(r" ' (s|t|d|m|ll|re|ve)\b", r"'\1", text)  # "don ' t" -> "don't"


# --- rows -------------------------------------------------------------------------------------------------
@dataclass
class Rows:
    """Many rows of ids in one flat array: row i is `ids[starts[i]:starts[i + 1]]`, also written `rows[i]`."""

    ids: np.ndarray  # (all tokens,) uint16, half of what int32 would take
    starts: np.ndarray  # (n + 1,) int64

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, i):
        i = range(len(self))[i]  # counts from the end as lists do, and ends a `for` loop
        return self.ids[self.starts[i] : self.starts[i + 1]]

    @property
    def lengths(self):
        """Tokens in each row, with [CLS] and [SEP]: (n,) int64."""
        return np.diff(self.starts)


def encode_lines(lines, tokenizer):
    """Yield each line's list of piece ids, without [CLS] and [SEP]; many lines at a time, on all cores."""
    for start in range(0, len(lines), LINES_AT_ONCE):
        chunk = lines[start : start + LINES_AT_ONCE]
        for encoding in tokenizer.encode_batch_fast(chunk, add_special_tokens=False):
            yield encoding.ids


def cut_evenly(ids, room):
    """Cut one long list of ids into the fewest parts of at most `room` ids, of about equal length."""
    return [part.tolist() for part in np.array_split(np.array(ids), -(-len(ids) // room))]


def split_long(line, tokenizer, room):
    """The piece lists of a text longer than a row: a sentence each, one that is still too long cut evenly."""
    sentences = [ids for ids in encode_lines(split_sentences(line), tokenizer) if ids]
    return [part for ids in sentences for part in cut_evenly(ids, room)]


def pack(parts, room):
    """Put as many whole parts into one row as fit, in the order they come; yields lists of ids."""
    row = []
    for part in parts:
        if row and len(row) + len(part) > room:
            yield row
            row = []
        row = row + part
    if row:
        yield row


def make_rows(lines, tokenizer, max_length, packing=False, cache=None):
    """Turn lines of text into `Rows`, each [CLS] pieces [SEP] and at most `max_length` tokens long.

    One line a row (lines are sentences); a longer line is split at its sentences, else evenly. Lines
    without a piece are left out. `packing=True` fills each row with as many sentences as fit. `cache`: a
    folder to keep the rows in; the next call with the same lines, tokenizer and settings reads them from
    there. Above 64 MB the ids stay on disk, memory-mapped. Raises UserError when no row comes out, or
    `max_length` leaves no room for a piece.
    """
    lines, room = list(lines), max_length - 2
    if room < 1:
        raise UserError(f"Rows of {max_length} tokens have no room beside [CLS] and [SEP]: use at least 3.")
    if tokenizer.get_vocab_size() > 65_536:
        raise UserError(f"A vocabulary of {tokenizer.get_vocab_size()} pieces is too large: at most 65536.")
    key = fingerprint(lines, tokenizer, max_length, packing) if cache else None
    if cache and holds(cache, key):
        return load_rows(cache)
    rows = fill_rows(row_parts(lines, tokenizer, room, packing))
    if not len(rows):
        raise UserError(f"The corpus is smaller than a row: {len(lines)} lines and no word. Give more text.")
    if cache:
        save_rows(rows, cache, key)
        return load_rows(cache)
    return rows if rows.ids.nbytes <= MEMORY_LIMIT else spill(rows)


def row_parts(lines, tokenizer, room, packing):
    """The ids of each row, without [CLS] and [SEP]: an iterator of lists of at most `room` ids."""
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.encode_special_tokens = True  # in a corpus "[MASK]" is a word between brackets, not our token
    parts = (
        part
        for line, ids in zip(lines, encode_lines(lines, tokenizer), strict=True)
        for part in ([ids] if len(ids) <= room else split_long(line, tokenizer, room))
        if part
    )
    return pack(parts, room) if packing else parts


def fill_rows(parts):
    """`Rows` from an iterator of lists of ids, each put between [CLS] and [SEP]."""
    lengths, blocks, block = [0], [], []
    for part in parts:
        block += [CLS_ID, *part, SEP_ID]
        lengths.append(len(part) + 2)
        if len(block) > 1_000_000:  # a list takes 16 times the space of an array: empty it now and then
            blocks.append(np.array(block, dtype=np.uint16))
            block = []
    blocks.append(np.array(block, dtype=np.uint16))
    return Rows(np.concatenate(blocks), np.cumsum(lengths, dtype=np.int64))


def spill(rows):
    """The same rows with their ids in a nameless temporary file, which goes away with the array."""
    ids = np.memmap(tempfile.TemporaryFile(), dtype=rows.ids.dtype, mode="w+", shape=rows.ids.shape)
    ids[:] = rows.ids
    return Rows(ids, rows.starts)


def save_rows(rows, folder, key=""):
    """Write the rows into a folder: ids.npy, starts.npy, and what they were made from (`key`), last."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made_from.txt").unlink(missing_ok=True)  # half-written rows must not pass for finished ones
    for name, content in (("ids", rows.ids), ("starts", rows.starts)):
        np.save(folder / f"{name}.new.npy", content)  # replaced, not rewritten: another run may read it
        os.replace(folder / f"{name}.new.npy", folder / f"{name}.npy")
    (folder / "made_from.txt").write_text(key, encoding="utf-8")


def load_rows(folder):
    """Read the rows in a folder; ids above 64 MB stay on disk. Raises UserError when they cannot be read."""
    file = Path(folder) / "ids.npy"
    try:
        mode = "r" if file.stat().st_size > MEMORY_LIMIT else None
        return Rows(np.load(file, mmap_mode=mode), np.load(Path(folder) / "starts.npy"))
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"The rows in {folder} cannot be read ({error}): delete that folder.") from error


def holds(folder, key):
    """Whether a folder of rows was made from the same text, tokenizer and settings."""
    file = Path(folder) / "made_from.txt"
    return file.is_file() and file.read_text(encoding="utf-8") == key


def fingerprint(lines, tokenizer, max_length, packing):
    """A sha256 over all that rows depend on, as hexadecimal text."""
    digest = hashlib.sha256(f"{max_length} {packing} {tokenizer.to_str()}".encode())
    for line in lines:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


# --- batches ----------------------------------------------------------------------------------------------
def batch_order(rows, batch_tokens, seed, epoch):
    """The batches of one epoch: a list of arrays of row numbers; every row stands in exactly one of them.

    Rows of like length come together, so padding is tiny; a batch has as many rows as make up
    `batch_tokens` tokens, padding included (one row at least). Which rows meet, and the order of the
    batches, is drawn anew from (seed, epoch), and is the same whenever these are.
    """
    rng = np.random.default_rng([seed, epoch])
    lengths = rows.lengths
    order = np.lexsort((rng.random(len(rows)), lengths))  # by length; rows of one length in random order
    lengths = lengths[order]
    batches, start = [], 0
    while start < len(order):
        end = start + max(1, batch_tokens // int(lengths[start]))
        longest = int(lengths[min(end, len(order)) - 1])
        end = start + max(1, batch_tokens // longest)  # the last row is the longest and sets the width
        batches.append(order[start:end])
        start = end
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(rows, numbers):
    """One batch: ids (B, T) long, filled with [PAD]; attention_mask (B, T) bool, True = real token."""
    numbers = np.asarray(numbers)
    lengths = rows.starts[numbers + 1] - rows.starts[numbers]
    columns = np.arange(lengths.max())
    mask = columns < lengths[:, None]  # (B, T)
    places = np.where(mask, rows.starts[numbers][:, None] + columns, 0)  # (B, T) places in the flat array
    ids = np.where(mask, rows.ids[places], PAD_ID).astype(np.int64)
    return torch.from_numpy(ids), torch.from_numpy(mask)
