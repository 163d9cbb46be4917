"""Text: the course's corpus, cleaned from its sources; a corpus of your own; and the held-out split.

From here on a text is a list of sentences. Everything is deterministic to the byte: no predicate asks
Python's Unicode tables (they change from version to version), and nothing depends on the order of a set.
"""
import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from electra_tutorial import grammar, sources
from electra_tutorial.errors import UserError

HELDOUT_SHARE = 0.05
HELDOUT_LEAST = 8  # templates held out of a tiny corpus, if that leaves three quarters of it to train on
NAME_SHARE = 0.05  # at most this share of the everyday sentences has any one name; Tom stood in 28 %
GRAMMAR_SENTENCES = 40_000
HUB_SENTENCES = 200_000  # where reading a dataset of the Hugging Face hub stops: as many as the course has
# Lower case for ASCII and Latin-1 letters, written out: str.lower() follows Python's Unicode tables.
LOWER = {code: code + 32 for code in [*range(0x41, 0x5B), *range(0xC0, 0xD7), *range(0xD8, 0xDF)]}


@dataclass
class Corpus:
    """Sentences by source, for training and held out; `note` is what a user must be told about them."""

    name: str
    train: dict[str, list[str]]
    heldout: dict[str, list[str]]
    note: str = ""


# --- sentences ----------------------------------------------------------------------------------------

# After these a full stop does not end a sentence ("no." only before a digit: see `is_abbreviation`).
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st mt ft nos vs etc jr sr sgt lt col gen capt cmdr rev hon gov sen rep pres vol vols "
    "pp ca e.g i.e cf al ch op fig inc ltd co corp dept est approx u.s u.k jan feb mar apr jun jul aug sep "
    "sept oct nov dec".split())
# A sentence may end at . ! ? and closing marks, before a space and what can begin one; at 。！？ anywhere.
SENTENCE_END = re.compile(
    """([.!?]["')\\]’”]*)[ ]+(?=["'(\\[‘“]*[A-Z0-9À-ÖØ-Þ])|([。！？]["'”’」』）]*)[ ]*""")
LAST_WORD = re.compile("[A-Za-z.]*$")
INITIALS = re.compile("(?:[A-Za-z][.])*[A-HJ-Za-z]")  # J.R.R, or one letter; never "I"
SPACES = str.maketrans(dict.fromkeys("\t\v\f\u00a0\u2007\u202f\u3000\u200b", " ")
                       | dict.fromkeys("\r\u2028\u2029", "\n"))


def split_sentences(text):
    """Return the sentences of a text in order, a list of strings; nothing is lost but white space.

    A paragraph ends at a blank line; lines of hard-wrapped prose are joined first.
    """
    sentences = []
    for paragraph in paragraphs(text):
        start = 0
        for end in SENTENCE_END.finditer(paragraph):
            if end.group(2) or not is_abbreviation(paragraph, start, end):
                sentences.append(paragraph[start:end.end()].strip(" "))
                start = end.end()
        sentences.append(paragraph[start:].strip(" "))
    return [sentence for sentence in sentences if sentence]


def is_abbreviation(paragraph, start, end):
    """Return True if the full stop at match `end` belongs to a word such as `Dr.` or an initial."""
    word = LAST_WORD.search(paragraph, max(start, end.start() - 12), end.start()).group()
    if end.group(1) != ".":
        return False
    if word in ("No", "no"):
        return "0" <= paragraph[end.end()] <= "9"
    return word.translate(LOWER) in ABBREVIATIONS or INITIALS.fullmatch(word) is not None


def paragraphs(text):
    """Return the paragraphs of a text, each on one line with single spaces."""
    text = text.replace("\r\n", "\n").translate(SPACES)
    lines = [re.sub(" +", " ", line).strip(" ") for line in text.split("\n")]
    # Where hardly a line holds the end of a sentence, each line is one: joining them would make soup.
    wrapped = 10 * len(re.findall("[.!?。！？]", text)) >= len([line for line in lines if line])
    joined = []
    for before, line in zip(["", *lines], lines, strict=False):
        if wrapped and line and goes_on(before, line):
            joined[-1].append(line)
        elif line:
            joined.append([line])
    return [" ".join(parts) for parts in joined]


def goes_on(line, following):
    """Return True if a sentence seems to run on from a line into the next, as in hard-wrapped prose."""
    unfinished = line and not re.search("[.!?。！？:;][\"')\\]’”」』）]*$", line)
    return bool(unfinished) and ("a" <= following[0] <= "z" or len(line) >= 40)


# --- the held-out split -------------------------------------------------------------------------------

# A number, a word of Latin letters, or any other single character that is no ASCII punctuation.
WORD = re.compile("[0-9]+(?:[.,:][0-9]+)*|[A-Za-zÀ-ÖØ-öø-ɏ]+|[^\\x00-\\x7fÀ-ɏ‘’“”–—…]")
PERSON = "X"
FOLDED = {word: PERSON for word in (
    "i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its "
    "itself we us our ours ourselves they them their theirs themselves someone somebody anyone anybody "
    "everyone everybody").split()}
# Dropped: what changes with the person, or is half of a contraction ('s is both `is` and the possessive).
FOLDED |= {word: "" for word in (
    "and am is are was were be been being have has had having do does did will would wo sha ai "
    "s m re ve ll d").split()}
FOLDED |= {word: "0" for word in (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred "
    "thousand").split()}
FOLDED["ca"] = "can"


def template(sentence, names=frozenset()):
    """Return the sentence with everything folded in which near-duplicates differ: the unit of the split.

    Names and pronouns become X and numbers 0; forms of be, have and do, -s at the end of a word, capitals,
    punctuation, order and repetition go. So `I am tired.`, `He's tired!` and `Are Tom and Mary tired?` are
    one template. A capital inside the sentence makes a name; at its start only a word in `names` (lower case)
    is one.
    """
    folded = set()
    sentence = sentence.replace("’", "'").replace("n't", " not").replace("annot", "an not")
    for place, word in enumerate(WORD.findall(sentence)):
        folded.add(fold_word(word, place == 0, names))
    return " ".join(sorted(folded - {""}))


def fold_word(word, first, names):
    """Return what one word becomes in a template; an empty string if it is dropped."""
    lower = word.translate(LOWER)
    if lower in FOLDED:
        return FOLDED[lower]
    if lower in names or (not first and lower[0] != word[0]):
        return PERSON
    if "0" <= word[0] <= "9":
        return "0"
    return without_s(lower)


def without_s(word):
    """Return a word without the -s of a plural or third person: crude, but both forms fall together."""
    if len(word) < 4 or word[-1] != "s" or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "oes", "sses")) else word[:-1]


def learn_names(sentences):
    """Return the set of words (lower case) that nearly always have a capital inside a sentence."""
    capital, small = {}, {}
    for sentence in sentences:
        for word in WORD.findall(sentence)[1:]:
            lower = word.translate(LOWER)
            count = small if lower[0] == word[0] else capital
            count[lower] = count.get(lower, 0) + 1
    return frozenset(word for word, n in capital.items()
                     if word not in FOLDED and n > 4 * small.get(word, 0))


def hash_share(text):
    """Return a number in [0, 1) that depends on the text alone: the same in any process."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8]) / 2**64


def split_by_template(sentences, names=frozenset(), share=HELDOUT_SHARE):
    """Return (train, heldout), each in order. A template is on one side only; its hash decides which.

    Of a tiny corpus more than `share` is held out: the templates of smallest hash, until there are enough.
    """
    templates = [template(sentence, names) for sentence in sentences]
    shares = {key: hash_share(key) for key in dict.fromkeys(templates)}
    enough = min(HELDOUT_LEAST, len(sentences) // 4)
    order = sorted(shares.values())
    limit = max(share, order[min(enough, len(order) - 1)] if order else share)
    sides = [[], []]
    for sentence, key in zip(sentences, templates, strict=True):
        sides[shares[key] < limit].append(sentence)
    return sides[0], sides[1]


# --- cleaning -----------------------------------------------------------------------------------------

# The characters a sentence of the course may have: printable ASCII without marks of code, Latin letters.
ALLOWED = re.compile("[ !-)+,./0-;?A-Za-zÀ-ÖØ-öø-ſ–—£€°-]*")
PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "−": "-", "\u00a0": " ",
                       "\ufeff": ""})
DETOKENISE = [(re.compile(pattern), replacement) for pattern, replacement in (
    (" @([-,.])@ ", r"\1"),
    (r'" ([^"]*?) "', r'"\1"'),
    (r" ' ?((?:s|t|m|re|ve|ll|d)(?![A-Za-z]))", r"'\1"),
    ("(?<= [ODLTdlq]) '(?=[A-Za-zé])", "'"),  # O'Brien, d'histoire
    (r"(?<!s) ' ([^'\"]*?) '(?= |$)", r" '\1'"),
    (r"(?<=s) '(?= )", "'"),
    (r"\[([A-Za-z])\] (?=[a-z])", r"\1"),  # [t]his, as quotations are fitted in
    (r"([(\[]) ", r"\1"),
    (r" ([)\],;:!?%]|\.(?![0-9.])|\.\.\.$)", r"\1"),
    (r"([$£€]) (?=[0-9])", r"\1"),
    ("(?<=[0-9]) – (?=[0-9])", "–"),
    ("(?<=[0-9]): (?=[0-9][0-9])", ":"),
    (" ° (?=[CF])", " °"),
    (" / ", "/"),
)]
COUNTED_WORD = re.compile("[A-Za-z0-9À-ſ][A-Za-z0-9À-ſ'.,:-]*")


def detokenise(paragraph):
    """Return a WikiText paragraph as people write: `red @-@ tipped ( 1 @,@ 000 )` is `red-tipped (1,000)`."""
    for pattern, replacement in DETOKENISE:
        paragraph = pattern.sub(replacement, paragraph)
    return paragraph


def clean_wikitext(text, counts=None):
    """Return the sentences of a raw WikiText file that are fit for the course, each once, in order.

    `counts`, a dict, gets how many sentences were dropped for which reason.
    """
    counts = {} if counts is None else counts
    kept = {}
    for sentence in wikitext_sentences(text):
        reason = unfit(sentence)
        counts[reason or "kept"] = counts.get(reason or "kept", 0) + 1
        if not reason:
            kept[sentence] = None
    return list(kept)


def wikitext_sentences(text):
    """Yield the sentences of a raw WikiText file, detokenised, without its = headings =."""
    for line in text.translate(PLAIN).split("\n"):
        if not line.startswith(" = "):
            for sentence in split_sentences(detokenise(line.strip(" "))):
                if sentence.count('"') % 2:  # one end of a longer quotation
                    sentence = re.sub(" +", " ", sentence.replace('"', "")).strip(" ")
                    sentence = re.sub(" (?=[,;:!?]|[.](?![0-9.]))", "", sentence)
                yield sentence


def unfit(sentence):
    """Return why a WikiText sentence is left out, in a word or two; an empty string if it is fit."""
    words = COUNTED_WORD.findall(sentence)
    if not 4 <= len(words) <= 60:
        return "under 4 or over 60 words"
    if not ALLOWED.fullmatch(sentence):
        return "other characters"
    if not re.fullmatch("[\"'(]*[A-Z0-9].*[.!?][\"')]*", sentence):
        return "fragment"
    if " ' " in sentence or sentence.count("(") != sentence.count(")"):
        return "unpaired quote or bracket"
    if sum(re.search("[0-9]", word) is not None for word in words) > 0.2 * len(words):
        return "mostly digits"
    if sum(word[0].translate(LOWER) != word[0] for word in words[1:]) > 0.4 * len(words):
        return "mostly names"
    return ""


def clean_tatoeba(tables):
    """Return {sentence: author} for the unique English sentences of Tatoeba tables, in order.

    A line is: English, translation, `CC-BY ... #id (author) & #id (author)`; the first wrote the English.
    """
    kept = {}
    for line in (line for table in tables for line in table.split("\n")):
        sentence, _, rest = line.partition("\t")
        sentence = re.sub(" +", " ", sentence.translate(PLAIN)).strip(" ")
        if len(COUNTED_WORD.findall(sentence)) >= 3 and ALLOWED.fullmatch(sentence):
            author = re.search(r"#[0-9]+ \(([^)]*)\)", rest.rpartition("\t")[2])
            kept.setdefault(sentence, author.group(1) if author else "unknown")
    return kept


def left_out_words():
    """Return the words of `left_out_words.txt`, whose sentences are left out, with their plurals in -s."""
    text = sources.tracked_file("left_out_words.txt").read_text("utf-8")
    words = [line for line in text.split("\n") if line and not line.startswith("#")]
    return frozenset(words) | frozenset(word + "s" for word in words)


def fit_for_classrooms(sentences, words):
    """Return the sentences in which none of `words` stands."""
    return [sentence for sentence in sentences
            if words.isdisjoint(re.findall("[a-z]+", sentence.translate(LOWER)))]


def thin_names(sentences, names, share=NAME_SHARE):
    """Return the sentences without most of those with a name that is everywhere: `share` at most keep it.

    Which ones stay is decided by their hash. The most frequent name is thinned first.
    """
    while True:
        name, numbers = most_frequent_name(sentences, names)
        keep = int(share / (1 - share) * (len(sentences) - len(numbers)))
        if not name or len(numbers) <= max(keep, 1):
            return sentences
        dropped = set(sorted(numbers, key=lambda number: hash_share(sentences[number]))[keep:])
        sentences = [sentence for number, sentence in enumerate(sentences) if number not in dropped]


def most_frequent_name(sentences, names):
    """Return (name, the numbers of the sentences it stands in) for the most frequent capitalised name."""
    where = {}
    for number, sentence in enumerate(sentences):
        for word in dict.fromkeys(re.findall("[A-Z][a-z]+", sentence)):
            if word.translate(LOWER) in names:
                where.setdefault(word, []).append(number)
    return max(where.items(), key=lambda item: (len(item[1]), item[0]), default=("", []))


# --- the course's corpus ------------------------------------------------------------------------------

COURSE_MEMBERS = ("wikitext-train", "wikitext-valid", "wikitext-test", "tatoeba-spa", "tatoeba-ukr")
COURSE_FILES = ("train-wikitext.txt", "train-tatoeba.txt", "heldout-wikitext.txt", "heldout-tatoeba.txt")


def course_dir():
    """Return the folder of the cleaned course corpus."""
    return sources.cache_dir() / "course"


def clean_course(read, tell=lambda what, done, total: None):
    """Return ({file name: sentences}, counts) of the course's corpus. `read(name)` returns a member's text.

    Held out are 5 % of Tatoeba's templates and what WikiText itself holds out; no template is on both sides.
    """
    counts, crude = {"wikitext": {}}, left_out_words()
    tell("cleaning", 1, 5)
    wiki_train = clean_wikitext(read("wikitext-train"), counts["wikitext"])
    tell("cleaning", 2, 5)
    wiki_heldout = clean_wikitext(read("wikitext-valid") + read("wikitext-test"), counts["wikitext"])
    tell("cleaning", 3, 5)
    authors = clean_tatoeba([read("tatoeba-spa"), read("tatoeba-ukr")])
    names = learn_names([*wiki_train, *authors])
    tell("cleaning", 4, 5)
    fit = [fit_for_classrooms(lines, crude) for lines in (wiki_train, wiki_heldout, authors)]
    everyday = thin_names(fit[2], names)
    tatoeba_train, tatoeba_heldout = split_by_template(everyday, names)
    wiki_train = apart_from(fit[0], tatoeba_heldout, names)
    wiki_heldout = apart_from(fit[1], wiki_train + tatoeba_train, names)
    parts = wiki_train, tatoeba_train, wiki_heldout, tatoeba_heldout
    counts |= {"crude": len(authors) + counts["wikitext"]["kept"] - sum(map(len, fit))}
    counts |= count_tatoeba(authors, fit[2], everyday) | count_people(wiki_train, tatoeba_train)
    tell("cleaning", 5, 5)
    return dict(zip(COURSE_FILES, parts, strict=True)), counts


def apart_from(sentences, others, names):
    """Return the sentences whose template none of the `others` has."""
    taken = {template(sentence, names) for sentence in others}
    return [sentence for sentence in sentences if template(sentence, names) not in taken]


def count_tatoeba(authors, fit, everyday):
    """Return counts for the datasheet: sentences before and after thinning names, and who wrote them."""
    wrote = {}
    for sentence in everyday:
        wrote[authors[sentence]] = wrote.get(authors[sentence], 0) + 1
    ranked = sorted(wrote.items(), key=lambda item: (-item[1], item[0]))
    return {"tatoeba_unique": len(authors), "tatoeba_with_tom": count_sentences(fit, ["tom"])["tom"],
            "tatoeba_thinned": len(fit) - len(everyday), "tatoeba_authors": len(ranked),
            "tatoeba_top_authors": dict(ranked[:10])}


def count_people(wiki_train, tatoeba_train):
    """Return in how many training sentences words stand that show whom the text is about."""
    words = ("he", "she", "tom", "mary", "boston")
    return {"train_with": {"wikitext": count_sentences(wiki_train, words),
                           "tatoeba": count_sentences(tatoeba_train, words)}}


def count_sentences(sentences, words):
    """Return {word: the number of sentences it stands in} for some lower-case words."""
    counts = dict.fromkeys(words, 0)
    for sentence in sentences:
        for word in counts.keys() & set(re.findall("[a-z]+", sentence.translate(LOWER))):
            counts[word] += 1
    return counts


def recipe():
    """Return what the cleaned text must come from: recorded outputs, archives' hashes, the words left out."""
    wanted = {source.file: source.sha256 for source in course_sources()}
    return {"outputs": sources.read_description().get("outputs", {}), "archives": wanted,
            "left_out_words": sources.sha256_of(sources.tracked_file("left_out_words.txt"))}


def course_sources():
    """Return the sources that hold a member of the course's corpus."""
    return [source for source in sources.load_sources()
            if any(member.name in COURSE_MEMBERS for member in source.members)]


def read_stamp():
    """Return what was noted when the course's corpus was made; {} if there is no such note."""
    try:
        return json.loads((course_dir() / "stamp.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def course_is_ready():
    """Return True if the cleaned text is there, made from today's sources, every file of its right size.

    Quick (a few ms): reads the note that `prepare_course` left, not the text.
    """
    stamp = read_stamp()
    try:
        return stamp.get("recipe") == recipe() and all(
            (course_dir() / name).stat().st_size == stamp["files"][name]["bytes"] for name in COURSE_FILES)
    except (OSError, LookupError):
        return False


def course_is_whole():
    """Return True if every cleaned file has the sha256 that it was written with (some 20 ms)."""
    return all(sources.sha256_of(course_dir() / name) == entry["sha256"]
               for name, entry in read_stamp()["files"].items())


def prepare_course(from_dir=None, progress=None):
    """Fetch and clean the course's corpus unless it is there and whole; return the note about it, a dict.

    Its keys: files ({name: sha256, bytes, sentences}), as_recorded (True if those are the recorded ones),
    counts, seconds, recipe. Raises UserError if a source cannot be had; what was there before is then kept.
    """
    if course_is_ready() and course_is_whole():
        return read_stamp()
    where = {}
    for source in course_sources():
        archive = sources.fetch(source, from_dir, progress)
        where |= {member.name: (archive, member.path) for member in source.members}
    started = time.perf_counter()
    files, counts = clean_course(lambda name: sources.read_member(*where[name]).decode("utf-8"),
                                 progress or (lambda what, done, total: None))
    contents = {name: "".join(line + "\n" for line in lines).encode() for name, lines in files.items()}
    described = {name: describe(content) for name, content in contents.items()}
    stamp = {"files": described, "as_recorded": described == recipe()["outputs"], "counts": counts,
             "seconds": round(time.perf_counter() - started, 1), "recipe": recipe()}
    write_course(contents | {"stamp.json": json.dumps(stamp, indent=1).encode()})
    return stamp


def describe(content):
    """Return what is recorded of a cleaned file: its hash, bytes, sentences and words (between spaces)."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content),
            "sentences": content.count(b"\n"), "words": content.count(b"\n") + content.count(b" ")}


def write_course(contents):
    """Write {file name: bytes} into the course's folder; nothing changes there until all is written."""
    try:
        course_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".course-", dir=course_dir().parent) as folder:
            for name, content in contents.items():
                (Path(folder) / name).write_bytes(content)
            (course_dir() / "stamp.json").unlink(missing_ok=True)  # half of the new files are not ready
            for name in contents:
                os.replace(Path(folder) / name, course_dir() / name)
    except OSError as error:
        raise sources.disk_error(error, course_dir()) from None


def load_course(from_dir=None, progress=None):
    """Return the course's corpus, fetched and cleaned if it is not ready."""
    stamp = prepare_course(from_dir, progress)
    lines = {name: (course_dir() / name).read_text("utf-8").split("\n")[:-1] for name in COURSE_FILES}
    note = "" if stamp["as_recorded"] else (
        "The cleaned text is not, byte for byte, the one whose hashes data/sources.toml records (a changed "
        "cleaning or word list): figures may differ from those in the lessons.")
    return Corpus("course", *({kind: lines[f"{side}-{kind}.txt"] for kind in ("wikitext", "tatoeba")}
                              for side in ("train", "heldout")), note)


# --- any corpus ---------------------------------------------------------------------------------------

def load_corpus(name_or_path="course", from_dir=None, fallback=False, progress=None):
    """Return the `Corpus` named "course", "grammar" or "hf:NAME", or read from a path.

    A path is a UTF-8 text, the same packed as .gz, or a folder of .txt and .gz files. `from_dir` stands in
    for the network (see `sources.fetch`). With `fallback`, the grammar stands in for a course that cannot be
    had, and `note` says why. Raises UserError.
    """
    name = str(name_or_path)
    if name == "grammar":
        return load_grammar()
    if name.startswith("hf:"):
        return own_corpus(name, read_hub(name[3:]))
    if name != "course":
        return own_corpus(name, [line for text in read_texts(Path(name)) for line in split_sentences(text)])
    try:
        return load_course(from_dir, progress)
    except UserError as error:
        if not fallback:
            raise
        return load_grammar(f"The course's corpus cannot be had: {error} Going on with sentences that a "
                            "small grammar of our own makes: what is learned, and every figure, differs.")


def load_grammar(note=""):
    """Return the corpus of our own making, drawn as its grammar draws it (a sentence may come twice)."""
    sentences = grammar.sentences(GRAMMAR_SENTENCES, seed=0)
    train, heldout = split_by_template(sentences, learn_names(sentences))
    return Corpus("grammar", {"grammar": train}, {"grammar": heldout}, note)


def own_corpus(name, sentences):
    """Return a Corpus of somebody's own sentences, each once. UserError if they cannot be split in two."""
    sentences = list(dict.fromkeys(sentences))
    train, heldout = split_by_template(sentences, learn_names(sentences))
    if not train or not heldout:
        raise UserError(f"{name} has {len(sentences)} different sentence(s), too few to train on some and "
                        "hold others out: give a text of at least a few dozen.")
    return Corpus(name, {"text": train}, {"text": heldout})


def read_texts(path):
    """Return the texts at a path, a list of strings: one file, or a folder's .txt and .gz files by name."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.suffix in (".txt", ".gz") and file.is_file()]
        if not files:
            raise UserError(f"The folder {path} has no .txt or .gz file: put text there, or name a file.")
        return [read_text(file) for file in sorted(files, key=lambda file: file.relative_to(path).parts)]
    if not path.exists():
        raise UserError(f"There is no corpus {path}: give a text file or folder that exists, or one of the "
                        "names course, grammar, hf:NAME.")
    return [read_text(path)]


def read_text(path):
    """Return the text of one file, unpacked if it ends in .gz. Raises UserError if it is not UTF-8 text."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}): pack it again with gzip.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path} is UTF-16, not UTF-8: save it as UTF-8, for example with "
                        "`iconv -f UTF-16 -t UTF-8`.")
    if b"\0" in data:
        raise UserError(f"{path} is not text (byte {data.index(0)} is zero): give a plain UTF-8 text, not a "
                        "document or an archive.")
    return decode(path, data)


def decode(path, data):
    """Return a file's bytes as text. Raises UserError, with the place, if they are not UTF-8; or if empty."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}): save it as "
                        "UTF-8, for example with `iconv -f ISO-8859-1 -t UTF-8`.") from None
    if not text.strip(" \t\r\n"):
        raise UserError(f"{path} is empty: a corpus needs sentences.")
    return text


def read_hub(name, limit=HUB_SENTENCES):
    """Return up to `limit` sentences of a dataset's training split on the Hugging Face hub, streamed.

    `name` is NAME or NAME:CONFIG. The column is `text` or `sentence`, else the only one of strings.
    """
    try:
        import datasets
    except ImportError:
        raise UserError("An hf: corpus needs a package: `python -m pip install datasets`.") from None
    dataset, _, config = name.partition(":")
    if not dataset:
        raise UserError(f"hf:{name} names no dataset: write hf:NAME, or hf:NAME:CONFIG.")
    sentences = []
    try:
        for row in datasets.load_dataset(dataset, config or None, split="train", streaming=True):
            sentences += split_sentences(row[text_column(dataset, row)] or "")
            if len(sentences) >= limit:
                break
    except UserError:
        raise
    except Exception as error:  # no network, no such dataset, a config to choose: the library says which
        reason = next((line for line in str(error).split("\n") if line), type(error).__name__)
        raise UserError(f"hf:{name} cannot be read: {reason.rstrip('.')}. Check the network and the name "
                        "(NAME or NAME:CONFIG), or save it as a text file and give that.") from None
    return sentences[:limit]


def text_column(dataset, row):
    """Return the name of the column of a dataset's row that holds the text."""
    strings = [column for column, value in row.items() if isinstance(value, str)]
    for column in ("text", "sentence", *(strings if len(strings) == 1 else ())):
        if column in strings:
            return column
    raise UserError(f"hf:{dataset} has no column text or sentence (it has {', '.join(row) or 'none'}): save "
                    "the right one as a text file and give that.")


# --- the command `electra-tutorial data` --------------------------------------------------------------

def main_data(from_dir=None, progress=sources.show_progress):
    """Fetch and verify everything `sources.toml` lists, clean the course's corpus, and return what is there.

    Words go to stderr; the dict returned (sources, course) is what `--json` prints.
    """
    if from_dir and not Path(from_dir).is_dir():  # a typing error must not pass because all is there already
        raise UserError(f"{from_dir} is not a folder: --from takes the folder that holds the archives.")
    course = prepare_course(from_dir, progress)  # first: all lessons but one need no more
    for source in sources.load_sources():
        sources.fetch(source, from_dir, progress)
    found = {"sources": sources.status(verify=True), "course": course | {"path": str(course_dir())}}
    for row in found["sources"]:
        print(f"{row['file']}  {row['bytes'] / 1e6:.0f} MB  {row['state']}, verified", file=sys.stderr)
        for member in row["members"]:
            print(f"    {member['name']}  {member['licence']}  {member['attribution']}", file=sys.stderr)
    for name, entry in course["files"].items():
        print(f"{name}  {entry['sentences']:,} sentences  {entry['bytes'] / 1e6:.1f} MB", file=sys.stderr)
    print("as recorded" if course["as_recorded"] else "NOT as recorded in sources.toml", file=sys.stderr)
    return found


def record_outputs():
    """Clean the course's corpus and write its hashes into `sources.toml`: for who changes the cleaning."""
    (course_dir() / "stamp.json").unlink(missing_ok=True)
    path = sources.tracked_file("sources.toml")
    head = path.read_text("utf-8").partition("[outputs]\n")[0]
    tail = "[outputs]\n"
    for name, entry in prepare_course()["files"].items():
        tail += f'"{name}" = {{' + ", ".join(f"{key} = {json.dumps(entry[key])}" for key in entry) + "}\n"
    path.write_text(head + tail, "utf-8")
