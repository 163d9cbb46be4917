"""The explorer and the time-lapse: they show what `judge` says, survive any input, and leave a picture behind."""
import json
import re
import shutil
import threading

import numpy as np
import pytest
import torch
from conftest import toy_preset, toy_sentences
from test_views import TAGS, Page, luminance

from electra_tutorial.checkpoint import save
from electra_tutorial.errors import UserError
from electra_tutorial.judgement import judge
from electra_tutorial.model import Electra
from electra_tutorial.suspicion import (
    FOOL,
    duel,
    exchange,
    put_words,
    suspicion_gained,
    unnoticed_fake,
    untrained,
)
from electra_tutorial.tokens import train_tokenizer
from electra_tutorial.views import explorer
from electra_tutorial.views.columns import columns_of, percent
from electra_tutorial.views.explorer import LONGEST, answer, explore
from electra_tutorial.views.live import AGAIN, HERE, STYLE, Said
from electra_tutorial.views.timelapse import Timelapse, film_of, timelapse_view

OURS = [text for text, _ in FOOL] * 2
TOKENIZER = train_tokenizer([*toy_sentences(300), *OURS], 400)
torch.manual_seed(0)
MODEL = Electra(toy_preset(vocab_size=TOKENIZER.get_vocab_size(), max_length=64)).eval()
MODELS = {"toy": (MODEL, TOKENIZER), "fresh": (Electra(MODEL.preset).eval(), TOKENIZER)}
TEXT = "The small dogs see the apple near the river."
ASKED = {"seq": 1, "kind": "round", "text": TEXT, "mask": [2, 4], "own": {}, "words": {}, "seed": 3,
         "temperature": 1.0, "against": "base rate", "model": "toy", "compare": False, "number": 0, "word": ""}


def ask(**changes):
    return answer(ASKED | changes, MODELS)


def play(text=TEXT, **more):
    return explore(text, MODELS, **more)


def send(widget, **changes):
    """What the page does: ask for something else, with the next number."""
    widget.request = widget.request | changes | {"seq": widget.request["seq"] + 1}
    return widget.answer


# --- what is drawn is what the models said ----------------------------------------------------------------
def test_the_answer_holds_the_judgement_and_nothing_else():
    judged = judge(TEXT, MODEL, TOKENIZER, mask=[2, 4], seed=3)
    data, _ = ask()
    assert [token["p"] for token in data["tokens"]] == [percent(p) for p in judged.p_replaced]
    assert [token["sampled"] for token in data["tokens"]] == judged.corrupted
    assert [[one["piece"] for one in place["top"]] for place in data["places"]] == \
        [[piece for piece, _ in top] for top in judged.proposals]
    assert [token["known"] for token in data["tokens"]] == [one.known for one in columns_of(judged, "base rate")]
    json.dumps(data)


def test_pieces_of_one_word_share_its_number():
    judged = judge(TEXT, MODEL, TOKENIZER, mask=[2])
    words = [token["word"] for token in ask(mask=[2])[0]["tokens"]]
    found = [[place for place, word in enumerate(words) if word == number] for number in range(len(judged.words))]
    assert found == judged.words


def test_your_own_piece_is_put_in_and_the_others_are_drawn_as_before():
    drawn, own = ask()[0], ask(own={"4": "dog" if TOKENIZER.token_to_id("dog") else "the"})[0]
    assert own["tokens"][4]["sampled"] in ("dog", "the") and own["tokens"][2] != drawn["tokens"][4]
    assert own["tokens"][2]["sampled"] == drawn["tokens"][2]["sampled"]
    assert own["places"][1]["own"] == own["tokens"][4]["sampled"]


def test_a_piece_for_a_place_that_is_no_longer_hidden_is_left_out():
    assert ask(mask=[2], own={"4": "the"}, words={"4": "dog"})[0]["tokens"] == ask(mask=[2])[0]["tokens"]


# --- a whole word of your own, which the tokenizer may cut ------------------------------------------------------
LONG = "newspaper"  # several pieces of the toy vocabulary
CUT = TOKENIZER.encode(LONG, add_special_tokens=False).tokens


def test_a_word_of_several_pieces_takes_the_place_of_a_whole_word_and_the_rest_stays():
    drawn, put = ask()[0], ask(words={"4": LONG})[0]
    assert len(CUT) > 2 and "problem" not in put
    word = drawn["tokens"][4]["word"]
    before = [one for one in drawn["tokens"] if one["word"] != word]
    yours = [one for one in put["tokens"] if one["yours"] == 4]
    assert [one["sampled"] for one in yours] == CUT and all(one["known"] == "replaced" for one in yours)
    assert [one["sampled"] for one in put["tokens"] if one["yours"] is None] == [one["sampled"] for one in before]
    whole = judge(TEXT, MODEL, TOKENIZER).word_texts[word]
    assert yours[0]["original"].lower() == whole.lower() and {one["original"] for one in yours[1:]} == {""}
    assert put["mask"] == [2, 4], "the page goes on speaking of the places of the sentence as typed"
    assert f"“{LONG}” is not one piece of this vocabulary, which cuts it: {' '.join(CUT)}." in put["notes"]
    assert f"{yours[0]['original']} → {LONG} at places" in put["words"]
    assert {place["own"] for place in put["places"] if put["tokens"][place["place"]]["yours"] == 4} == {LONG}


def test_the_numbers_of_a_word_put_in_are_those_of_the_pass_on_the_longer_sentence():
    base = judge(TEXT, MODEL, TOKENIZER, mask=[2, 4], seed=3)
    judged, slots = put_words(base, {4: LONG}, MODEL, TOKENIZER)
    ids = torch.tensor([judged.corrupted_ids])
    with torch.no_grad():
        passed = torch.sigmoid(MODEL.discriminator(ids, torch.ones_like(ids, dtype=torch.bool)))[0]
    assert np.allclose(judged.p_replaced, passed, atol=1e-5)
    kept = [(n, slot.origin) for n, slot in enumerate(slots) if not slot.yours]
    assert all(judged.p_unedited[n] == base.p_unedited[origin] for n, origin in kept)
    assert len(judged.words) == len(base.words) and judged.corrupted_words().count(LONG) == 1


def test_a_short_word_may_take_the_place_of_a_long_one_and_the_same_word_is_no_fake():
    text = f"The {LONG} is small."
    base = judge(text, MODEL, TOKENIZER, mask=[3])
    judged, slots = put_words(base, {3: "dog"}, MODEL, TOKENIZER)
    short = TOKENIZER.encode("dog", add_special_tokens=False).tokens
    assert len(judged.pieces) == len(base.pieces) - len(CUT) + len(short)
    assert judged.corrupted_words()[1] == "dog" and sum(judged.word_labels()) == 1
    same, _ = put_words(base, {3: LONG}, MODEL, TOKENIZER)
    assert same.corrupted == base.pieces and not any(same.labels)


def test_a_word_of_your_own_is_read_by_the_other_models_too():
    first, second = ask(words={"4": LONG}, compare=True)[0]["others"]
    assert [one["sampled"] for one in first["words"]] == [one["sampled"] for one in second["words"]]
    assert LONG in [one["sampled"] for one in second["words"] if one["changed"]]
    assert not second["notes"], "it has the same vocabulary"


def test_the_twin_shows_the_word_as_the_page_does():
    text = Page(ask(words={"4": LONG})[1]).text
    assert all(piece in text for piece in CUT) and f"→ {LONG} at places" in text


@pytest.mark.parametrize(("words", "says"), [
    ({"4": "two words"}, "read as 2 words: type one"), ({"4": "ξ"}, "characters that this vocabulary lacks"),
    ({"4": "[MASK]"}, "special token"), ({"4": "!?"}, "type one"), ({"4": LONG * 8}, "take a shorter word"),
    ({"4": 7}, "could not be answered"),
])
def test_what_is_no_word_is_said_and_the_next_input_works(words, says):
    widget = play(mask=ASKED["mask"])
    assert says in send(widget, words=words)["problem"]
    assert "problem" not in send(widget, words={})


def test_the_same_fakes_are_shown_to_every_model():
    others = ask(compare=True)[0]["others"]
    assert [one["name"] for one in others] == list(MODELS)
    words = [[word["sampled"] for word in one["words"]] for one in others]
    assert words[0] == words[1] and others[0]["words"] != others[1]["words"]


def test_an_answer_leaves_the_threads_as_they_were():
    torch.set_num_threads(3)
    try:
        ask()
        ask(text=" ")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)


# --- bad input: a sentence in the widget's own place, and the next input works --------------------------------
@pytest.mark.parametrize(("changes", "says"), [
    ({"text": "   "}, "nothing to judge"), ({"text": ""}, "nothing to judge"), ({"text": None}, "nothing to judge"),
    ({"temperature": None}, "An empty temperature"), ({"temperature": -1}, "temperature of -1"),
    ({"temperature": 101}, "give 0"), ({"temperature": float("nan")}, "temperature of nan"),
    ({"seed": None}, "The seed None"), ({"seed": -3}, "The seed -3"), ({"mask": [99]}, "no place 99"),
    ({"mask": [0]}, "special token"), ({"own": {"4": "xylophone"}}, "not one piece"),
    ({"model": "gone"}, "no model 'gone'"), ({"kind": "dance"}, "no part 'dance'"),
    ({"own": {"4": 7}}, "could not be answered"), ({"against": "all"}, "cannot compare"),
    ({"kind": "fool", "word": "are"}, "type another word"), ({"kind": "fool", "word": "two words"}, "type one"),
])
def test_bad_input_gets_a_sentence_and_the_next_input_works(changes, says):
    widget = play(mask=ASKED["mask"])
    shown = send(widget, **changes)
    assert says in shown["problem"] and says in Page(widget.static()).text.replace("&#x27;", "'")
    better = send(widget, **{name: ASKED[name] for name in changes})
    assert "problem" not in better and better["seq"] == 2
    assert says not in Page(widget.static()).text.replace("&#x27;", "'"), "the twin goes on too"


@pytest.mark.parametrize(("changes", "notes"), [
    ({"text": "dog " * 1250 + "x"}, "of 5,001 characters the first 5,000"), ({"text": "ξξξ δδδ"}, "never saw this"),
    ({"text": "dog " * 100}, "The text was cut: this model reads 64"), ({"text": "李华去了北京。"}, "[UNK]"),
    ({"text": "☃ ☂ ★"}, "never saw this"),
    ({"text": "The small dogs see the apple &amp; ☃"}, "[UNK] stands for"),
])
def test_text_that_cannot_be_read_as_it_is_says_so(changes, notes):
    data, picture = ask(**changes, mask=None)
    assert "problem" not in data and notes in " ".join(data["notes"])


def test_everything_hidden_and_the_ends_of_the_temperature():
    everything = [place for place, token in enumerate(ask()[0]["tokens"]) if not token["special"]]
    for temperature in (0, 100):
        data = ask(mask=everything, temperature=temperature)[0]
        assert data["mask"] == everything
    first = ask(temperature=0)[0]["places"]
    assert all(place["top"][0]["p"] == ">99%" for place in first)


def test_what_is_typed_is_never_markup():
    bad = '<script>alert("x")</script> &lt;b&gt; <img src=x onerror=y>'
    for changes in ({"text": bad}, {"text": bad, "compare": True}, {"kind": "fool", "word": "<script>"},
                    {"own": {"4": "<script>"}}, {"model": bad}):
        page = Page(ask(**changes)[1])
        assert "script" not in page.tags and "img" not in page.tags and set(page.tags) <= TAGS
    for name in ("live", "explorer", "timelapse"):  # the page puts text in as text
        script = (HERE / f"{name}.js").read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script)
        assert set(re.findall(r"https?://[^\"']+", script)) <= {"http://www.w3.org/2000/svg"}, "it asks the network"


def test_a_model_folder_that_vanishes_is_said_and_the_others_go_on(tmp_path):
    folder = save(MODEL, TOKENIZER, tmp_path / "run")
    widget = explore(TEXT, {"yours": folder, "toy": MODELS["toy"]})
    assert "problem" not in widget.answer
    shutil.rmtree(folder)
    assert "no model folder" in send(widget, seed=5)["problem"]
    assert "problem" not in send(widget, model="toy")


# --- which answer counts ----------------------------------------------------------------------------------
def test_of_requests_that_come_while_one_is_answered_the_last_wins(monkeypatch):
    widget, begun, go_on, answered = play(), threading.Event(), threading.Event(), []
    real = explorer.answer

    def slow(request, models):
        answered.append(request["seq"])
        begun.set()
        assert request["seq"] != 1 or go_on.wait(10)
        return real(request, models)

    monkeypatch.setattr(explorer, "answer", slow)
    threads = [threading.Thread(target=send, args=(widget,), kwargs={"seed": seed}) for seed in (11, 12, 13)]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
        while widget.request["seed"] not in (12, 13) or (thread is threads[2] and widget.request["seed"] != 13):
            pass
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert widget.answer["seq"] == 3 and answered == [1, 3], "the one in between is not even computed"
    assert widget.answer["tokens"] == answer(widget.request, MODELS)[0]["tokens"]


def test_a_widget_that_is_shown_twice_keeps_both_its_twins_up_to_date(monkeypatch):
    shown, updated = [], []
    monkeypatch.setattr("IPython.display.display", lambda *given, **more: shown.append(more))
    monkeypatch.setattr("IPython.display.update_display", lambda html, display_id: updated.append(display_id))
    widget = play()
    widget._ipython_display_()
    widget._ipython_display_()
    send(widget, mask=[1])
    places = {more["display_id"] for more in shown if "display_id" in more}
    assert places == set(updated) == {widget.twin}, "one name for both places: a kernel updates all of that name"


def test_two_explorers_know_nothing_of_one_another():
    one, two = play(), play("The cat likes the ball.")
    send(one, mask=[1])
    assert two.answer["seq"] == 0 and one.answer["mask"] == [1] and one.twin != two.twin


# --- the picture that stays -------------------------------------------------------------------------------
def test_a_live_view_carries_its_twin_and_says_how_to_play_again(monkeypatch):
    shown, updated = [], []
    monkeypatch.setattr("IPython.display.display", lambda *given, **more: shown.append((given, more)))
    monkeypatch.setattr("IPython.display.update_display", lambda html, display_id: updated.append((html, display_id)))
    widget = play()
    widget._ipython_display_()
    (twin, named), (bundle, _) = (shown[0][0][0], shown[0][1]), (shown[1][0][0], shown[1][1])
    assert percent(judge(TEXT, MODEL, TOKENIZER).p_replaced[1]) in twin.data and named == {"display_id": widget.twin}
    assert bundle["text/html"] == AGAIN and "application/vnd.jupyter.widget-view+json" in bundle
    send(widget, mask=[1], seed=9)
    assert updated[-1][1] == widget.twin and widget.static() in updated[-1][0].data
    assert f'class="{widget.twin}"' in updated[-1][0].data


def test_an_explorer_opens_at_its_part_and_refuses_what_is_none():
    assert play(part="duel").answer["rows"][0] == ["sentences", str(len(FOOL))]
    with pytest.raises(UserError, match="no part 'all'"):
        play(part="all")
    with pytest.raises(UserError, match="no model"):
        explore(TEXT, {})


def test_the_score_counts_sentences_and_what_is_won_stays_won(monkeypatch):
    widget, caught = play(part="fool"), iter([True, False, True, False])
    monkeypatch.setattr(explorer, "answer", lambda request, models: (
        {"seq": request["seq"], "kind": "fool", "caught": next(caught), "words": ""}, ""))
    scores = [send(widget, number=number)["score"] for number in (0, 0, 0, 1)]
    assert [re.search(r"in (\d) of the (\d)", score).groups() for score in scores] == \
        [("0", "1"), ("1", "1"), ("1", "1"), ("2", "2")]


# --- the time-lapse ---------------------------------------------------------------------------------------
FILM = {"sentences": [{"text": "A dogs is.", "pieces": ["[CLS]", "dog", "##s", "is", "[SEP]"], "replaced": [3]}],
        "moments": [{"step": step, "tokens_seen": 10 * step, "probabilities": [[p, p, p, 2 * p, p]]}
                    for step, p in ((0, 0.4), (10, 0.2), (100, 0.1))]}
HISTORY = [{"tokens_seen": seen, "exam_easy_auc": score, "exam_medium_auc": score, "exam_pairs": None}
           for seen, score in ((0, 0.5), (100, 0.6), (1000, 0.9))]


def test_every_moment_is_sent_once_with_its_numbers():
    film = film_of(FILM, HISTORY, 0.2)
    assert [moment["p"][0][3] for moment in film["moments"]] == ["80%", "40%", "20%"]
    assert film["moments"][2]["colours"][0][3] == "#ffffff", "the base rate is white"
    assert film["curves"][0]["points"] == [[0, 0.5], [1, 0.6], [2, 0.9]], "the marker stands where the exam was"
    assert "easy 0.60" in film["moments"][1]["exam"] and film["sentences"][0]["joined"] == [0, 0, 1, 0, 0]
    json.dumps(film)


def test_the_twin_of_the_time_lapse_follows_the_sentence_and_says_what_it_shows():
    view = Timelapse({**FILM, "sentences": FILM["sentences"] * 2, "moments": [
        moment | {"probabilities": moment["probabilities"] * 2} for moment in FILM["moments"]]}, HISTORY, 0.2, 0)
    view.sentence = 1
    assert re.search(r'alt="[^"]*The false word, is: 80% at first, 20% at last[^"]*easy 0.90', view.static())


def test_a_run_without_a_time_lapse_says_so_in_its_place(tmp_path):
    folder = save(MODEL, TOKENIZER, tmp_path / "my-run")
    for run, says in ((folder, "my-run recorded no time-lapse"), (tmp_path / "lost", "no model folder")):
        said = timelapse_view(run)
        assert isinstance(said, Said) and says in said._repr_html_() and says in repr(said)


# --- readable ---------------------------------------------------------------------------------------------
def test_all_text_of_the_live_views_has_contrast():
    inks = set(re.findall(r"(?<![-\w])color: (#[0-9a-f]{6})", STYLE))
    papers = {"#ffffff", "#e8f1f8"}  # buttons under the pointer
    assert inks == {"#111111", "#595959", "#ffffff"}
    for ink in inks - {"#ffffff"}:
        for paper in papers:
            assert (luminance(paper) + 0.05) / (luminance(ink) + 0.05) >= 4.5
    for dark in ("#004a75", "#111111"):  # the pressed buttons, whose ink is white
        assert dark in STYLE and 1.05 / (luminance(dark) + 0.05) >= 4.5
    for line in ("#767676", "#005a8f", "#b34700"):  # borders and the focus
        assert 1.05 / (luminance(line) + 0.05) >= 3


def test_every_control_has_a_label_and_every_change_is_said():
    script = (HERE / "explorer.js").read_text("utf-8")
    for control in re.findall(r'h\("(?:input|select|textarea)", \{[^}]*', script):
        at = script.index(control)
        around = script[max(0, at - 200) : at + len(control)]
        assert "labelled(" in around or "aria-label" in control or "const own" in around or "const tried" in around
    assert 'role: "status"' in script and 'role: "alert"' in script and "run the cell again" in script


# --- questions to a judgement -----------------------------------------------------------------------------
def test_an_exchange_is_caught_when_suspected_most_or_by_half():
    found = exchange(TEXT, "apple", "river", MODEL, TOKENIZER)
    suspicion = found.after.word_suspicion()
    assert found.after.word_texts[found.number] == "river" and found.suspicion == suspicion[found.number]
    assert found.caught == (max(suspicion) == found.suspicion or found.suspicion >= 0.5)
    for word, new, says in (("pear", "river", "no word of"), ("apple", "Apple", "another word"),
                            ("apple", " ", "another word"), ("apple", "a b", "read as 2 words")):
        with pytest.raises(UserError, match=says):
            exchange(TEXT, word, new, MODEL, TOKENIZER)


def test_every_sentence_of_the_game_holds_its_word_once():
    for text, word in FOOL:
        assert len(re.findall(rf"\b{word}\b", text)) == 1


def test_a_duel_counts_what_happened():
    judged = [judge(TEXT, MODEL, TOKENIZER, seed=seed) for seed in range(5)]
    count = duel(judged)
    assert count.hidden == sum(len(one.mask) for one in judged) == count.lucky + count.fakes
    assert count.fakes == sum(sum(one.labels) for one in judged)
    lucky = judge(TEXT, MODEL, TOKENIZER, mask=[2], samples=[judged[0].pieces[2]])
    assert (duel([lucky]).lucky, duel([lucky]).fakes) == (1, 0) and np.isnan(duel([lucky]).mean_fake)


def test_suspicion_gained_is_nothing_where_nothing_was_replaced():
    assert np.allclose(suspicion_gained(judge(TEXT, MODEL, TOKENIZER, mask=[])), 0)


def test_an_untrained_model_moves_no_random_stream(tmp_path):
    folder = save(MODEL, TOKENIZER, tmp_path / "run")
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    electra, tokenizer = untrained(folder)
    assert torch.equal(torch.rand(1), wanted) and electra.preset == MODEL.preset
    assert tokenizer.get_vocab_size() == TOKENIZER.get_vocab_size()
    again = untrained(folder)[0]
    assert all(torch.equal(a, b) for a, b in zip(electra.parameters(), again.parameters(), strict=True))


def test_the_fake_of_the_solution_goes_unnoticed_by_the_model_that_is_shipped():
    before, after = unnoticed_fake()
    found = exchange(before, "London", next(word for word in after.split() if word not in before.split()))
    assert found.after.text == after and not found.caught and len(before) < LONGEST
