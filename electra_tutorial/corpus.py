"""Text: the course's corpus cleaned from its sources, a corpus of your own, and the split that keeps a held-out part.

From here on a text is a list of sentences. The cleaning is deterministic to the byte: no predicate here asks Python's
Unicode tables (they change between versions) and nothing depends on the order of a set.
"""
import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from electra_tutorial import sources
from electra_tutorial.errors import UserError

HELDOUT_SHARE = 0.05
NAME_SHARE = 0.05  # no first name stands in more than this share of the everyday sentences; Tom stood in 27 %
COURSE_FILES = ("train-wikitext.txt", "train-tatoeba.txt", "heldout-wikitext.txt", "heldout-tatoeba.txt")
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


@dataclass
class Corpus:
    """Sentences by source, for training and held out; `note` is what a user must be told about them."""

    name: str
    train: dict[str, list[str]]
    heldout: dict[str, list[str]]
    note: str = ""


# --- sentences -------------------------------------------------------------------------------------------------------

ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st mt ft no nos vs etc jr sr sgt lt col gen capt cmdr rev hon gov sen rep pres vol vols pp ca c "
    "e.g i.e cf al fig inc ltd co corp dept est approx u.s u.k jan feb mar apr jun jul aug sep sept oct nov dec".split())
# A sentence may end at . ! ? (with closing quotes and brackets) before a space and something that can begin one.
SENTENCE_END = re.compile(r"""([.!?]["')\]’”]*)[ ]+(?=["'(\[‘“]*[A-Z0-9À-Ý])|([。！？]["'”’」』）]*)""")
LAST_WORD = re.compile(r"[A-Za-z.]*$")


def split_sentences(text):
    """Return the sentences of a text as a list of stripped strings, in order; no text is lost but white space.

    Paragraphs end at a blank line, or at a line that ends a sentence; within one, lines are joined.
    """
    sentences = []
    for paragraph in paragraphs(text):
        start = 0
        for match in SENTENCE_END.finditer(paragraph):
            if match.group(2) or not is_abbreviation(paragraph[start:match.start()], match.group(1)):
                sentences.append(paragraph[start:match.end()].strip(" "))
                start = match.end()
        sentences.append(paragraph[start:].strip(" "))
    return [sentence for sentence in sentences if sentence]


def paragraphs(text):
    """Return the paragraphs of a text, each on one line with single spaces."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").replace("\u00a0", " ")
    # A line that ends short of a full stop goes on in the next if that begins in lower case: hard-wrapped text.
    text = re.sub(r"(?<=[^\n.!?。！？:;]) *\n *(?=[a-z])", " ", text)
    return [re.sub(" +", " ", line).strip(" ") for line in text.split("\n") if line.strip(" ")]


def is_abbreviation(before, stop):
    """Return True if the full stop after `before` belongs to a word such as `Dr.` or an initial, not to a sentence."""
    if stop != ".":
        return False
    word = LAST_WORD.search(before[-12:]).group()
    return word.translate(ASCII_LOWER) in ABBREVIATIONS or (len(word) == 1 and word != "I" and word.isupper())


# --- the held-out split ----------------------------------------------------------------------------------------------

WORD = re.compile(r"[0-9]+(?:[.,:][0-9]+)*|[A-Za-z\u00c0-\u024f]+|n't|[^\x00-\x7f\u00c0-\u024f]")
PERSON = "X"  # what a pronoun or a name becomes
FOLDED = {word: PERSON for word in (
    "i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself we us "
    "our ours ourselves they them their theirs themselves someone somebody everyone everybody").split()}
# Forms that change with the person or are contracted ('s is both `is` and the possessive) say nothing: dropped.
FOLDED |= {word: "" for word in (
    "am is are was were be been being have has had having do does did s m re ve ll d t will would").split()}
FOLDED |= {word: "0" for word in (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand").split()}
FOLDED |= {"cannot": "can not", "won": "not", "don": "not", "doesn": "not", "didn": "not", "isn": "not", "aren": "not",
           "wasn": "not", "weren": "not", "haven": "not", "hasn": "not", "hadn": "not", "wouldn": "not",
           "can": "can", "couldn": "could not", "shouldn": "should not", "mustn": "must not"}


def template(sentence, names=frozenset()):
    """Return the sentence with everything folded that near-duplicates differ in: the unit of the held-out split.

    Lower case; names and pronouns become X, numbers 0; forms of be, have and do, endings in -s and punctuation go. So
    `I am tired.`, `He's tired!` and `Is Tom tired?` are one template. A capital inside the sentence makes a name; at its
    start only a word in `names` (lower case) is one.
    """
    folded = []
    for place, match in enumerate(WORD.finditer(sentence)):
        word = fold_word(match.group(), place == 0, names)
        if word and not (word == PERSON and folded and folded[-1] == PERSON):
            folded.append(word)
    return " ".join(folded)


def fold_word(word, first, names):
    """Return what one word becomes in a template; an empty string if it is dropped."""
    lower = word.translate(ASCII_LOWER)
    if lower in FOLDED:
        return FOLDED[lower]
    if lower in names or (not first and "A" <= word[0] <= "Z"):
        return PERSON
    if "0" <= word[0] <= "9":
        return "0"
    return strip_s(lower)


def strip_s(word):
    """Return the word without the -s of a plural or a third person, crudely: both forms must fall together, no more."""
    if len(word) < 4 or word[-1] != "s" or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "oes", "sses")):
        return word[:-2]
    return word[:-1]


def hash_share(text):
    """Return a number in [0, 1) that depends on the text alone: the same in any process."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8]) / 2**64


def learn_names(sentences):
    """Return the set of words (lower case) that are nearly always capitalised inside a sentence."""
    capital, small = {}, {}
    for sentence in sentences:
        for word in WORD.findall(sentence)[1:]:
            count = capital if "A" <= word[0] <= "Z" else small
            lower = word.translate(ASCII_LOWER)
            count[lower] = count.get(lower, 0) + 1
    return frozenset(word for word, n in capital.items() if word not in FOLDED and n > 4 * small.get(word, 0))


# --- cleaning --------------------------------------------------------------------------------------------------------

ALLOWED = re.compile("[ -~\u00c0-\u017f–—£€°]*")
PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "\ufeff": "", "…": "...", "−": "-"})
DETOKENISE = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r" @([-,.])@ ", r"\1"),
    (r'" ([^"]*?) "', r'"\1"'),
    (r"(?<![s]) ' ([^'\"]*?) '(?= |$)", r" '\1'"),
    (r"(?<=s) '(?= )", "'"),
    (r" ('(?:s|m|re|ve|ll|d)|n't)(?![a-z])", r"\1"),
    (r"([(\[]) ", r"\1"),
    (r" ([)\],.;:!?%]|\.\.\.)", r"\1"),
    (r"([$£€#]) (?=[0-9])", r"\1"),
    (r"(?<=[0-9]) – (?=[0-9])", "–"),
    (r"(?<=[0-9]): (?=[0-9][0-9])", ":"),
    (r" / ", "/"),
)]
COUNTED_WORD = re.compile(r"[A-Za-z0-9\u00c0-\u017f][A-Za-z0-9\u00c0-\u017f'.,:-]*")


def detokenise(paragraph):
    """Return a WikiText paragraph as people write it: `red @-@ tipped ( 1 @,@ 000 )` becomes `red-tipped (1,000)`."""
    for pattern, replacement in DETOKENISE:
        paragraph = pattern.sub(replacement, paragraph)
    return paragraph


def clean_wikitext(text):
    """Return the sentences of a raw WikiText file that are fit for the course, unique, in order."""
    kept = {}
    for line in text.translate(PLAIN).split("\n"):
        paragraph = line.strip(" ")
        if paragraph and not paragraph.startswith("="):
            for sentence in split_sentences(detokenise(paragraph)):
                if is_prose(sentence):
                    kept[sentence] = None
    return list(kept)


def is_prose(sentence):
    """Return True for a whole sentence of 4 to 60 words in which neither digits nor names are the main thing."""
    words = COUNTED_WORD.findall(sentence)
    if not (4 <= len(words) <= 60 and ALLOWED.fullmatch(sentence) and re.match(r"[\"'(]?[A-Z0-9]", sentence)):
        return False
    digits = sum(any("0" <= c <= "9" for c in word) for word in words)
    capitals = sum("A" <= word[0] <= "Z" for word in words[1:])
    whole = re.search(r"[.!?][\"')]*$", sentence) and sentence.count('"') % 2 == 0 and " ' " not in sentence
    return bool(whole) and sentence.count("(") == sentence.count(")") and digits <= 0.2 * len(words) \
        and capitals <= 0.4 * len(words) and "<unk>" not in sentence


def clean_tatoeba(tables):
    """Return the unique English sentences (column 1) of Tatoeba tables, in order."""
    kept = {}
    for table in tables:
        for line in table.split("\n"):
            sentence = line.partition("\t")[0].translate(PLAIN).strip(" ")
            if len(COUNTED_WORD.findall(sentence)) >= 3 and ALLOWED.fullmatch(sentence):
                kept[sentence] = None
    return list(kept)


def left_out_words():
    """Return the set of words whose sentences are left out, from `left_out_words.txt`."""
    path = sources.data_dir() / "left_out_words.txt"
    path = path if path.exists() else sources.REPOSITORY_DATA / path.name
    words = [line for line in path.read_text("utf-8").split("\n") if line and not line.startswith("#")]
    return frozenset(words) | frozenset(word + "s" for word in words)


def fit_for_classrooms(sentences, words):
    """Return the sentences in which none of `words` stands."""
    return [sentence for sentence in sentences
            if words.isdisjoint(re.findall("[a-z]+", sentence.translate(ASCII_LOWER)))]


def thin_names(sentences, names, share=NAME_SHARE):
    """Return the sentences with fewer of those in which one name is everywhere: at most `share` of them for each.

    Which ones stay is decided by their hash. Names are thinned from the most frequent down.
    """
    while True:
        where = {}
        for number, sentence in enumerate(sentences):
            for word in dict.fromkeys(re.findall("[A-Z][a-z]+", sentence)):
                if word.translate(ASCII_LOWER) in names:
                    where.setdefault(word, []).append(number)
        name, numbers = max(where.items(), key=lambda item: (len(item[1]), item[0]), default=("", []))
        keep = int(share / (1 - share) * (len(sentences) - len(numbers)))
        if len(numbers) <= keep + 1:
            return sentences
        dropped = set(sorted(numbers, key=lambda number: hash_share(sentences[number]))[keep:])
        sentences = [sentence for number, sentence in enumerate(sentences) if number not in dropped]


def split_by_template(sentences, names, share=HELDOUT_SHARE):
    """Return (train, heldout): a template, decided by its hash, is on one side only."""
    train, heldout = [], []
    for sentence in sentences:
        (heldout if hash_share(template(sentence, names)) < share else train).append(sentence)
    return train, heldout


# --- the course's corpus ---------------------------------------------------------------------------------------------

def course_dir():
    """Return the folder of the cleaned course corpus."""
    return sources.cache_dir() / "course"


def clean_course(read):
    """Return ({file name: sentences}, counts). `read(member name)` returns a member's bytes."""
    crude = left_out_words()
    wiki = {part: clean_wikitext(read(f"wikitext-{part}").decode("utf-8")) for part in ("train", "valid", "test")}
    tatoeba = clean_tatoeba([read("tatoeba-spa").decode("utf-8"), read("tatoeba-ukr").decode("utf-8")])
    names = learn_names(wiki["train"] + tatoeba)
    everyday = thin_names(fit_for_classrooms(tatoeba, crude), names)
    tatoeba_train, tatoeba_heldout = split_by_template(everyday, names)
    heldout_templates = {template(sentence, names) for sentence in tatoeba_heldout}
    wiki_train = [sentence for sentence in fit_for_classrooms(wiki["train"], crude)
                  if template(sentence, names) not in heldout_templates]
    seen = {template(sentence, names) for sentence in wiki_train + tatoeba_train}
    wiki_heldout = [sentence for sentence in fit_for_classrooms(wiki["valid"] + wiki["test"], crude)
                    if template(sentence, names) not in seen]
    files = dict(zip(COURSE_FILES, (wiki_train, tatoeba_train, wiki_heldout, tatoeba_heldout), strict=True))
    return files, {"tatoeba_unique": len(tatoeba), "tatoeba_fit": len(everyday)}


def recorded_outputs():
    """Return {file name: {sha256, bytes}} as recorded in `sources.toml`: what the cleaning must give."""
    return sources.read_description().get("outputs", {})


def recipe():
    """Return a short name of what the cache must have been made from: the archives' and the outputs' hashes."""
    wanted = [[source.sha256 for source in sources.load_sources()], recorded_outputs()]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def read_stamp():
    """Return what was written when the course corpus was made, or {} if there is none that can be read."""
    try:
        return json.loads((course_dir() / "stamp.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def course_is_ready():
    """Return True if the cleaned corpus is there, of the recorded sizes, from today's sources. Reads no text."""
    stamp = read_stamp()
    sizes = {name: entry["bytes"] for name, entry in stamp.get("files", {}).items()}
    return stamp.get("recipe") == recipe() and sorted(sizes) == sorted(COURSE_FILES) and all(
        (course_dir() / name).is_file() and (course_dir() / name).stat().st_size == size for name, size in sizes.items())


def prepare_course(from_dir=None, progress=None):
    """Fetch and clean the course's corpus unless it is ready; return the stamp (sizes, hashes, counts).

    Raises UserError if a source cannot be had. Files are moved into place when all are written.
    """
    if course_is_ready():
        return read_stamp()
    members = {}
    for source in sources.load_sources():
        archive = sources.fetch(source, from_dir, progress)
        members |= {member.name: (archive, member.path) for member in source.members}
    if progress:
        progress("cleaning", 0, 1)
    started = time.perf_counter()
    files, counts = clean_course(lambda name: sources.read_member(*members[name]))
    contents = {name: "".join(sentence + "\n" for sentence in lines).encode("utf-8") for name, lines in files.items()}
    described = {name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "sentences": len(files[name])}
                 for name, content in contents.items()}
    stamp = {"recipe": recipe(), "files": described, "counts": counts, "seconds": time.perf_counter() - started}
    write_course(contents | {"stamp.json": json.dumps(stamp, indent=1).encode()})
    return stamp


def write_course(contents):
    """Write {file name: bytes} into the course's folder, all or nothing as far as a crash can see: the stamp is last."""
    try:
        course_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".course-", dir=course_dir().parent) as folder:
            for name, content in contents.items():
                (Path(folder) / name).write_bytes(content)
            (course_dir() / "stamp.json").unlink(missing_ok=True)
            for name in contents:
                os.replace(Path(folder) / name, course_dir() / name)
    except OSError as error:
        raise sources.disk_error(error, course_dir()) from None


def read_course():
    """Return the cleaned course corpus from the cache."""
    lines = {name: (course_dir() / name).read_text("utf-8").split("\n")[:-1] for name in COURSE_FILES}
    return Corpus("course", {"wikitext": lines["train-wikitext.txt"], "tatoeba": lines["train-tatoeba.txt"]},
                  {"wikitext": lines["heldout-wikitext.txt"], "tatoeba": lines["heldout-tatoeba.txt"]})


def load_corpus(name_or_path="course", from_dir=None, fallback=False, progress=None):
    """Return a `Corpus`: "course", "grammar", or the text in a file or folder of .txt and .gz files.

    Raises UserError if it cannot be had. With `fallback`, the grammar stands in for the course, and `note` says why.
    """
    if name_or_path == "grammar":
        return load_grammar()
    prepare_course(from_dir, progress)
    return read_course()


def load_grammar(n=20000):
    """Return the corpus of our own making."""
    from electra_tutorial import grammar

    train, heldout = split_by_template(list(dict.fromkeys(grammar.sentences(n, seed=0))), frozenset())
    return Corpus("grammar", {"grammar": train}, {"grammar": heldout})
