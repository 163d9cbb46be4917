"""What a picture shows is what the models said: judgements equal the forward passes, whatever is typed."""
import json
import shutil

import pytest
import torch
from conftest import toy_preset, toy_sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial.checkpoint import load, save
from electra_tutorial.errors import UserError
from electra_tutorial.judgement import (
    PROBES,
    Judgement,
    common_words,
    judge,
    probe_sentences,
    read_text,
    rejudge,
    watch_probes,
)
from electra_tutorial.model import Electra
from electra_tutorial.tokens import MASK_ID, SPECIAL_TOKENS, train_tokenizer

LETTERS = ["The quick brown fox jumps over the lazy dog's bed: don't they, perhaps?"] * 3
TOKENIZER = train_tokenizer([*toy_sentences(400), *LETTERS], 320)
torch.manual_seed(0)
MODEL = Electra(toy_preset(vocab_size=TOKENIZER.get_vocab_size(), max_length=32, mask_rate=0.3)).eval()
TEXT = "The small dogs see the apple near the old tree."


def say(text=TEXT, **options):
    """The toy model's judgement."""
    return judge(text, MODEL, TOKENIZER, **options)


def sigmoid_of_discriminator(ids):
    """P(replaced), asked of the model itself."""
    with torch.no_grad():
        return MODEL.discriminator(torch.tensor([ids])).sigmoid()[0].numpy()


# --- the numbers are the models' own --------------------------------------------------------------------
def test_p_replaced_is_the_sigmoid_of_the_discriminator():
    judged = say(mask=[2, 5])
    assert judged.p_replaced == pytest.approx(sigmoid_of_discriminator(judged.corrupted_ids), abs=1e-6)
    assert judged.p_unedited == pytest.approx(sigmoid_of_discriminator(judged.ids), abs=1e-6)
    assert judged.p_replaced != judged.p_unedited


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_proposals_are_the_generators_odds_without_special_tokens(temperature):
    judged = say(mask=[2, 5], temperature=temperature, top=4)
    with torch.no_grad():
        logits = MODEL.generator(torch.tensor([judged.masked_ids]))[0, judged.mask]  # (N, V)
    logits[:, : len(SPECIAL_TOKENS)] = -torch.inf
    odds = (logits / temperature).softmax(-1)
    for row, proposals, sample, drawn in zip(odds, judged.proposals, judged.samples,
                                             judged.sample_probabilities, strict=True):
        best = row.topk(4)
        assert [piece for piece, _ in proposals] == [TOKENIZER.id_to_token(i) for i in best.indices.tolist()]
        assert [p for _, p in proposals] == pytest.approx(best.values.tolist(), abs=1e-6)
        assert drawn == pytest.approx(row[TOKENIZER.token_to_id(sample)].item(), abs=1e-6)


def test_temperature_0_puts_in_the_likeliest():
    judged = say(mask=[2, 5], temperature=0)
    assert judged.samples == [proposals[0][0] for proposals in judged.proposals]
    assert judged.sample_probabilities == [1.0, 1.0]


def test_judging_leaves_the_model_and_its_random_stream_as_they_were():
    model = Electra(toy_preset(vocab_size=TOKENIZER.get_vocab_size(), dropout=0.5)).train()
    state, first = model.rng.get_state(), judge(TEXT, model, TOKENIZER)
    assert model.training and model.discriminator.training
    assert torch.equal(model.rng.get_state(), state)
    assert judge(TEXT, model, TOKENIZER) == first, "dropout was on"


# --- the game -------------------------------------------------------------------------------------------
def test_the_seed_alone_decides():
    assert say(seed=4) == say(seed=4)
    assert len({tuple(say(seed=n).mask) for n in range(20)}) > 5
    assert len({tuple(say(mask=[2, 5], seed=n).samples) for n in range(20)}) > 5


def test_without_places_15_percent_are_hidden():
    assert len(say().ids) - 2 == 11
    assert all(len(say(seed=n).mask) == round(0.15 * 11) for n in range(5))


def test_an_empty_list_of_places_judges_the_sentence_as_it_is():
    judged = say(mask=[])
    assert judged.corrupted == judged.pieces and not any(judged.labels) and judged.samples == []
    assert judged.p_replaced == pytest.approx(judged.p_unedited, abs=1e-6)


def test_a_lucky_sample_counts_as_original():
    judged = say(mask=[2], samples=[say().pieces[2]])
    assert judged.labels == [False] * len(judged.ids)
    assert say(mask=[2], samples=["river"]).labels[2]


def test_only_hidden_places_change():
    judged = say(mask=[2, 5], seed=3)
    changed = [n for n, (a, b) in enumerate(zip(judged.pieces, judged.corrupted, strict=True)) if a != b]
    assert set(changed) <= {2, 5}
    assert [judged.corrupted[n] for n in (2, 5)] == judged.samples


def test_a_typed_mask_is_a_place_for_the_generator_that_has_no_original():
    judged = say("The [MASK] sees the apple.", mask=[])
    assert judged.open == judged.mask == [2] and judged.ids[2] == MASK_ID
    assert judged.corrupted[2] not in SPECIAL_TOKENS
    assert any("[MASK] at place 2" in note for note in judged.notes)


def test_other_special_tokens_cannot_be_typed():
    judged = say("The [SEP] dog [CLS] sees [PAD] it [mask].", mask=[])
    assert all(i >= len(SPECIAL_TOKENS) or i == 1 for i in judged.ids[1:-1])
    assert judged.open == []


def test_a_word_is_as_suspect_as_its_most_suspect_piece():
    judged = say("The elephants don't see it.", mask=[])
    assert max(map(len, judged.words)) > 1
    assert judged.word_texts == ["The", "elephants", "don't", "see", "it", "."]
    expected = [max(judged.p_replaced[place] for place in word) for word in judged.words]
    assert judged.word_suspicion() == expected


def test_a_judgement_is_plain_data():
    plain = json.loads(json.dumps(say(mask=[2, 5]).to_dict()))
    assert plain["masked"][2] == "[MASK]" and plain["mask"] == [2, 5]
    assert len(plain["p_replaced"]) == len(plain["pieces"]) == len(plain["labels"])


# --- another model --------------------------------------------------------------------------------------
def test_another_model_judges_the_very_same_fakes():
    torch.manual_seed(1)
    other = Electra(toy_preset(vocab_size=TOKENIZER.get_vocab_size(), max_length=32))
    first = say(mask=[2, 5], seed=1)
    second = rejudge(first, other, TOKENIZER)
    assert second.corrupted_ids == first.corrupted_ids and second.labels == first.labels
    assert second.p_replaced != first.p_replaced
    assert rejudge(first, MODEL, TOKENIZER) == first


def test_a_model_with_another_vocabulary_judges_the_same_words():
    small = train_tokenizer([*toy_sentences(400), *LETTERS], 140)
    other = Electra(toy_preset(vocab_size=small.get_vocab_size(), max_length=64))
    first = say(mask=[2, 5], samples=["river", "bottle"])
    second = rejudge(first, other, small)
    assert second.corrupted_words() == first.corrupted_words() and "river" in second.corrupted_words()
    assert second.word_labels() == first.word_labels() and sum(first.word_labels()) == 2
    assert len(second.pieces) > len(first.pieces)
    with torch.no_grad():
        expected = other.discriminator(torch.tensor([second.ids])).sigmoid()[0].numpy()
    assert second.p_replaced == pytest.approx(expected, abs=1e-6)


def test_a_vocabulary_that_only_begins_alike_is_another():
    small = train_tokenizer([*toy_sentences(400), *LETTERS], 150)
    model = Electra(toy_preset(vocab_size=small.get_vocab_size()))
    first = judge("The teachers.", model, small, mask=[1], samples=["a"])
    assert [TOKENIZER.token_to_id(piece) for piece in first.pieces] == first.ids, "the same pieces are there"
    assert TOKENIZER.encode(first.text).ids != first.ids, "but it cuts the words otherwise"
    assert rejudge(first, MODEL, TOKENIZER).pieces == TOKENIZER.encode("a teachers.").tokens


def test_words_beyond_another_models_places_are_left_out_not_mistaken():
    small = train_tokenizer([*toy_sentences(400), *LETTERS], 140)
    other = Electra(toy_preset(vocab_size=small.get_vocab_size(), max_length=12))
    second = rejudge(say(mask=[2]), other, small)
    assert second.word_suspicion()[-1] is None and second.word_suspicion()[0] is not None


# --- which model ----------------------------------------------------------------------------------------
def test_a_folder_is_loaded_once_until_it_changes(tmp_path, monkeypatch):
    folder = save(MODEL, TOKENIZER, tmp_path / "one", metrics={"replaced_share": 0.11})
    judged = judge(TEXT, folder, mask=[2])
    assert judged.base_rate == pytest.approx(0.11 * MODEL.preset.mask_rate / 0.15)
    assert judged.p_replaced == pytest.approx(say(mask=[2]).p_replaced, abs=1e-6)
    save(MODEL, TOKENIZER, folder, metrics={"replaced_share": 0.12})
    assert judge(TEXT, str(folder), mask=[2]).base_rate > judged.base_rate
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="no model folder"):
        judge(TEXT, folder)


@pytest.mark.parametrize("share", [None, "much", 0, 1.5, float("nan")])
def test_without_a_measured_share_the_base_rate_is_the_masked_share(share, tmp_path):
    folder = save(MODEL, TOKENIZER, tmp_path / "one", metrics={"replaced_share": share})
    assert judge(TEXT, folder).base_rate == MODEL.preset.mask_rate == say().base_rate


def test_a_run_brings_its_own_tokenizer():
    class Run:
        electra, tokenizer, metrics = MODEL, TOKENIZER, {"replaced_share": 0.1}

    assert judge(TEXT, Run).base_rate == pytest.approx(MODEL.preset.mask_rate / 1.5)
    with pytest.raises(UserError, match="tokenizer"):
        judge(TEXT, MODEL)


# --- whatever is typed ----------------------------------------------------------------------------------
@settings(max_examples=60)
@given(st.text(max_size=80))
def test_any_text_is_judged_or_refused_in_a_sentence(text):
    try:
        judged = say(text)
    except UserError as error:
        assert str(error).endswith(".")
        return
    assert isinstance(judged, Judgement) and 3 <= len(judged.ids) <= 32
    assert len(judged.p_replaced) == len(judged.ids) and all(0 < p < 1 for p in judged.p_replaced)
    assert [place for word in judged.words for place in word] == list(range(1, len(judged.ids) - 1))
    json.dumps(judged.to_dict(), ensure_ascii=True)


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00\x01", "\u200b", None, 7])
def test_a_text_without_a_word_is_refused(text):
    with pytest.raises(UserError, match="give a sentence"):
        say(text)


def test_one_word_is_a_sentence():
    assert say("Dogs").mask == [1]


def test_control_characters_are_harmless():
    assert say("The\x00 dogs\x07 see\x1b[31m it.", mask=[]).pieces[1:4] == ["the", "dogs", "see"]


def test_ten_thousand_characters_are_cut_and_said_to_be():
    judged = say("The dog sees the tree. " * 435)
    assert len(judged.ids) == 32 and judged.pieces[-1] == "[SEP]"
    assert "the first 30 of 2610 words" in judged.notes[0]


def test_a_word_is_never_cut_in_two_unless_it_alone_fills_the_row():
    judged = say("the dog " * 14 + "elephantine tree")
    assert judged.word_texts[-1] == "dog" and "the first 28 of 30" in judged.notes[0]
    long = say("xy" * 45, mask=[])
    assert len(long.ids) == 32 and "of its first word only 30 pieces of" in long.notes[0]
    assert "more than 100 letters" in say("x" * 300).notes[0]


@pytest.mark.parametrize("text", ["李华去了北京。", "Я вчера купил книгу", "🐱🐶🐭"])
def test_a_language_it_never_saw_is_said(text):
    judged = say(text)
    assert judged.mask == [] and "never saw this language" in judged.notes[0]
    assert f"{judged.ids.count(1)} of {len(judged.words)} words are [UNK]" in judged.notes[0]


def test_one_strange_word_is_not_a_strange_language():
    assert say("The dog sees 李 again.").notes == [
        "[UNK] stands for 1 of 6 words, with characters the model does not know."]
    assert say().notes == []


def test_words_that_are_all_spelled_out_raise_the_question():
    assert "hardly knows these words" in say("wir haben heute viele rote lampen").notes[0]


OTHER_LANGUAGES = """
Le chat dort sur la table. / Je ne parle pas anglais. / Il fait très froid ce matin. / Nous avons mangé une pomme. /
Elle est plus grande que moi. / Mon frère habite à Paris. / Ich habe heute keine Zeit. / Der Hund schläft im Garten. /
Sie liest ein gutes Buch. / Wir gehen morgen ins Kino. / El perro duerme en la casa. / No hablo inglés. /
Mi hermana vive en Madrid. / Tengo mucha hambre. / Il gatto dorme sul tavolo. / Non parlo inglese. /
De kat slaapt op de tafel. / Ik heb geen tijd vandaag. / O menino come uma maçã. / Eu moro em Lisboa.
""".replace("\n", " ").strip().split(" / ")
ENGLISH = """
The cat sleeps. / Dogs bark loudly. / My brother lives near Boston. / Water boils. / Nobody laughed. / Birds sing. /
Grandmother bakes bread every Sunday. / Children love sweet strawberries. / Please close your umbrella. / Hurry up! /
Yesterday we visited an old lighthouse. / Three black horses galloped across muddy fields. / Thanks for your letter.
""".replace("\n", " ").strip().split(" / ")


def test_a_short_sentence_in_another_language_raises_the_question_and_a_short_english_one_does_not():
    """Asked of the model that comes with the course."""
    electra, tokenizer = load()
    common = common_words(electra, tokenizer)
    assert {tokenizer.token_to_id(word) for word in ("the", "is", "to", "a")} <= common
    noted = {text: bool(read_text(text, tokenizer, 64, common).notes) for text in OTHER_LANGUAGES + ENGLISH}
    assert sum(noted[text] for text in OTHER_LANGUAGES) >= 15, "of 20"
    assert not [text for text in ENGLISH if noted[text]]


def test_an_untrained_generator_knows_no_common_words():
    assert common_words(MODEL, TOKENIZER) == set()


# --- mistakes -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("place", "says"), [
    (0, r"Place 0 is \[CLS\]"), (4, r"Place 4 is \[SEP\]"), (9, "no place 9: the sentence has the places 0 to 4"),
    (-1, "no place -1"), (1.5, "1.5 is no place"), (True, "True is no place"), ("2", "'2' is no place"),
])
def test_a_wrong_place_is_named_with_the_places_there_are(place, says):
    with pytest.raises(UserError, match=says + r".*1 the \| 2 dog \| 3 \."):
        say("The dog.", mask=[place])


def test_an_unknown_word_cannot_be_masked():
    with pytest.raises(UserError, match=r"Place 1 is \[UNK\].*No piece of this text"):
        say("李", mask=[1])


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf"), "warm", None])
def test_a_temperature_must_be_a_number_from_0_up(temperature):
    with pytest.raises(UserError, match=f"temperature of {temperature}"):
        say(temperature=temperature)


BAD_SAMPLES = [["zebras and lions"], ["[MASK]"], [3], [10_000], ["river", "dog"], "river", []]


@pytest.mark.parametrize("samples", BAD_SAMPLES)
def test_a_sample_must_be_one_known_piece(samples):
    with pytest.raises(UserError, match="not one piece|do not fit"):
        say(mask=[2], samples=samples)


# --- the time-lapse -------------------------------------------------------------------------------------
def test_probes_name_the_places_of_the_false_word_and_no_other():
    for probe, (text, false) in zip(probe_sentences(TOKENIZER), PROBES, strict=True):
        spelled = "".join(probe["pieces"][place].removeprefix("##") for place in probe["replaced"])
        assert probe["text"] == text and spelled == (false or "")


def test_watching_the_probes_is_judging_them():
    watched = watch_probes(MODEL, TOKENIZER)
    for p, (text, _) in zip(watched, PROBES, strict=True):
        assert p == pytest.approx(say(text, mask=[]).p_replaced, abs=1e-4)
