"""To transformers and back: equal logits, whole files, and clear refusals."""
import json
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tutorial import finetune
from electra_tutorial.checkpoint import write_tensors
from electra_tutorial.errors import UserError
from electra_tutorial.hub import export, export_tuned, from_transformers, to_transformers, transformers_config
from electra_tutorial.model import Electra
from electra_tutorial.presets import PRESETS, Preset
from electra_tutorial.tokens import train_tokenizer

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

HALVES = {"generator": transformers.ElectraForMaskedLM, "discriminator": transformers.ElectraForPreTraining}
LINES = [
    f"The {a} {b} doesn’t see {c} cats."
    for a in ("old", "new") for b in ("dog", "tree") for c in ("my", "no")
]
SIZES = {
    "width equal to embedding, heads differ, tables shared": Preset(
        vocab_size=120, max_length=20, embedding=16, width=16, layers=2, heads=4, feed_forward=24,
        generator_width=8, generator_layers=1, generator_heads=2, generator_feed_forward=12),
    "width unlike embedding, nothing shared": Preset(
        vocab_size=131, max_length=24, embedding=12, width=20, layers=1, heads=5, feed_forward=16,
        generator_width=12, generator_layers=2, generator_heads=1, generator_feed_forward=8, sharing="none"),
    "a generator as wide as the discriminator": Preset(
        vocab_size=99, max_length=9, embedding=8, width=16, layers=3, heads=2, feed_forward=40,
        generator_width=16, generator_layers=3, generator_heads=8, generator_feed_forward=40, dropout=0.1),
}
SMALL = SIZES["width equal to embedding, heads differ, tables shared"]


def stirred(preset, seed=0):
    """An `Electra` in which every number is random: biases all 0 or norms all 1 would hide a lost tensor."""
    torch.manual_seed(seed)
    electra = Electra(preset).eval()
    with torch.no_grad():
        for parameter in electra.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return electra


def random_transformers(half, seed=0, **changes):
    """A model of transformers in which every number is random."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 110, "embedding_size": 12, "hidden_size": 16, "num_hidden_layers": 2,
             "num_attention_heads": 4, "intermediate_size": 28, "max_position_embeddings": 18,
             "initializer_range": 0.2}
    model = HALVES[half](transformers.ElectraConfig(**(sizes | changes))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def rows(vocab_size, B, T, padding, seed=0):
    """Ids (B, T) and an attention mask, or None without padding."""
    torch.manual_seed(seed)
    ids = torch.randint(5, vocab_size, (B, T))
    lengths = torch.randint(1, T + 1, (B, 1))
    mask = torch.arange(T) < lengths
    return (ids.masked_fill(~mask, 0), mask) if padding else (ids, None)


def assert_equal_logits(ours, theirs, vocab_size, longest):
    """For several shapes, with and without padding: the same logits at every real token, to 1e-5."""
    for B, T in ((1, 1), (2, 7), (5, longest)):
        for padding in (False, True):
            ids, mask = rows(vocab_size, B, T, padding)
            real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
            with torch.no_grad():
                expected = theirs(input_ids=ids, attention_mask=None if mask is None else mask.long()).logits
                assert (ours(ids, mask) - expected)[real].abs().max() < 1e-5


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(LINES * 3, 120)


@pytest.fixture(params=SIZES)
def preset(request):
    return SIZES[request.param]


def load(folder, half):
    """The model transformers reads from there; nothing may be missing, left over or of another shape."""
    model, report = HALVES[half].from_pretrained(folder / half, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


def test_an_export_needs_no_transformers(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it is now an error
    folder = export(stirred(SMALL), tokenizer, tmp_path / "out")
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in (folder / "generator").iterdir()} == names
    assert {path.name for path in (folder / "discriminator").iterdir()} == names


@pytest.mark.parametrize("half", HALVES)
def test_an_exported_model_gives_the_same_logits_in_transformers(tmp_path, tokenizer, preset, half):
    electra = stirred(preset)
    export(electra, tokenizer, tmp_path / "out")
    model = load(tmp_path / "out", half)
    assert_equal_logits(getattr(electra, half), model, preset.vocab_size, preset.max_length)
    assert model.config.hidden_dropout_prob == preset.dropout


def test_the_exported_generators_output_table_is_still_its_embedding_table(tmp_path, tokenizer, preset):
    export(stirred(preset), tokenizer, tmp_path / "out")
    model = load(tmp_path / "out", "generator")
    assert model.generator_lm_head.weight is model.electra.embeddings.word_embeddings.weight


def test_token_types_change_nothing_in_an_exported_model(tmp_path, tokenizer, preset):
    export(stirred(preset), tokenizer, tmp_path / "out")
    model, (ids, _) = load(tmp_path / "out", "discriminator"), rows(preset.vocab_size, 2, 6, False)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, model(ids, token_type_ids=torch.ones_like(ids)).logits)


def test_every_exported_tensor_is_one_that_transformers_has(preset):
    for half, kind in HALVES.items():
        theirs = kind(transformers.ElectraConfig(**transformers_config(preset, half))).state_dict()
        ours = to_transformers(Electra(preset), half)
        assert set(theirs) - set(ours) <= {"generator_lm_head.weight"}  # tied: not in the file
        assert {name: t.shape for name, t in ours.items()} == {name: theirs[name].shape for name in ours}


def test_the_exported_tokenizer_cuts_text_as_ours_does(tmp_path, tokenizer):
    export(stirred(SMALL), tokenizer, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out" / "discriminator")
    for text in (*LINES, "THE dog sees 李华. 🙂", ""):
        assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
    assert theirs.mask_token_id == 4 and theirs.pad_token_id == 0 and theirs.model_max_length == 20


def test_attention_is_that_of_transformers_and_of_the_fused_path(preset):
    electra = stirred(preset)
    for half, kind in HALVES.items():
        config = transformers.ElectraConfig(**transformers_config(preset, half))
        config._attn_implementation = "eager"  # under the default, sdpa, attentions come back empty
        theirs = kind(config).eval()
        theirs.load_state_dict(to_transformers(electra, half), strict=False)
        theirs.tie_weights()
        for padding in (False, True):
            ids, mask = rows(preset.vocab_size, 3, 8, padding)
            real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
            with torch.no_grad():
                expected = theirs(ids, attention_mask=mask, output_attentions=True).attentions
                logits, attentions = getattr(electra, half)(ids, mask, return_attention=True)
                fused = getattr(electra, half)(ids, mask)
            assert len(attentions) == len(expected) > 0
            for a, e in zip(attentions, expected, strict=True):
                assert ((a - e).abs().amax(dim=(1, 3))[real] < 1e-5).all()  # (B, H, T, T): real tokens' rows
                assert torch.allclose(a.sum(-1), torch.ones(()), atol=1e-5)
            assert (logits - fused)[real].abs().max() < 1e-5


@pytest.mark.parametrize("changes", [
    {}, {"embedding_size": 16}, {"num_attention_heads": 1, "hidden_size": 8},
], ids=["projected", "not projected", "one head"])
def test_models_of_transformers_give_the_same_logits_as_ours(changes):
    discriminator = random_transformers("discriminator", 1, **changes)
    generator = random_transformers("generator", 2, **changes | {"num_hidden_layers": 1})
    electra = from_transformers(discriminator, generator)
    assert electra.preset.sharing == "none"  # their tables differ
    assert_equal_logits(electra.discriminator, discriminator, 110, 18)
    assert_equal_logits(electra.generator, generator, 110, 18)


def test_a_generator_that_has_the_discriminators_tables_shares_them():
    discriminator = random_transformers("discriminator", 1)
    generator = random_transformers("generator", 2, hidden_size=8)
    generator.electra.embeddings.load_state_dict(discriminator.electra.embeddings.state_dict())
    electra = from_transformers(discriminator, generator)
    assert electra.preset.sharing == "embeddings"
    assert_equal_logits(electra.generator, generator, 110, 18)


def test_a_discriminator_alone_gets_a_new_generator_of_a_quarter_of_its_size():
    discriminator = random_transformers("discriminator", hidden_size=32, embedding_size=12)
    electra = from_transformers(discriminator)
    assert_equal_logits(electra.discriminator, discriminator, 110, 18)
    preset = electra.preset
    assert (preset.generator_width, preset.generator_heads, preset.generator_feed_forward) == (8, 1, 7)
    ids, mask = rows(110, 4, 10, True)
    assert torch.isfinite(electra(ids, mask).loss)


def test_a_folder_saved_by_transformers_is_read_without_its_classes(tmp_path):
    discriminator, generator = random_transformers("discriminator", 3), random_transformers("generator", 4)
    discriminator.save_pretrained(tmp_path / "d")
    generator.save_pretrained(tmp_path / "g")
    electra = from_transformers(tmp_path / "d", tmp_path / "g")
    assert_equal_logits(electra.discriminator, discriminator, 110, 18)
    assert_equal_logits(electra.generator, generator, 110, 18)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.sampled_from([(8, 1), (8, 2), (12, 3)]), st.sampled_from([8, 12, 10]),
       st.sampled_from(["embeddings", "none"]), st.integers(0, 9))
def test_there_and_back_leaves_every_number_as_it_was(layers, width_heads, embedding, sharing, seed):
    width, heads = width_heads
    preset = Preset(vocab_size=40, max_length=8, embedding=embedding, width=width, layers=layers, heads=heads,
                    feed_forward=10, generator_width=width, generator_layers=1, generator_heads=1,
                    generator_feed_forward=6, sharing=sharing)
    electra, models = stirred(preset, seed), {}
    for half, kind in HALVES.items():
        models[half] = kind(transformers.ElectraConfig(**transformers_config(preset, half)))
        models[half].load_state_dict(to_transformers(electra, half), strict=False)
        models[half].tie_weights()
    back = from_transformers(**models)
    assert back.preset.sharing == preset.sharing
    for (name, before), after in zip(electra.state_dict().items(), back.state_dict().values(), strict=True):
        assert torch.equal(before, after), name


@pytest.mark.parametrize("change, reason", [
    ({"positions": "rotary"}, "queries"), ({"positions": "none"}, "table"), ({"norm": "pre"}, "normalises"),
])
def test_an_architecture_transformers_lacks_is_refused_with_the_reason(tmp_path, tokenizer, change, reason):
    electra = Electra(SMALL.with_changes(**change))
    with pytest.raises(UserError, match=reason):
        export(electra, tokenizer, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_never_overwrites(tmp_path, tokenizer):
    electra = stirred(SMALL)
    export(electra, tokenizer, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (tmp_path / "file").write_text("mine")
    for place in ("out", "file", "file/below"):
        with pytest.raises(UserError, match=place):
            export(electra, tokenizer, tmp_path / place)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_stranger_is_refused_by_name(tmp_path):
    discriminator, generator = random_transformers("discriminator"), random_transformers("generator")
    bert = transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    for models, words in (
        ((bert,), "'bert'"),
        ((generator,), "discriminator_predictions"),
        ((discriminator, discriminator), "generator_predictions"),
        ((random_transformers("discriminator", hidden_act="gelu_new"),), "gelu_new"),
        ((random_transformers("discriminator", layer_norm_eps=1e-5),), "layer_norm_eps"),
        ((discriminator, random_transformers("generator", vocab_size=111)), "vocab_size=111"),
        ((discriminator, random_transformers("generator", tie_word_embeddings=False)), "output table"),
    ):
        with pytest.raises(UserError, match=words):
            from_transformers(*models)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "electra"}))
    write_tensors(tmp_path / "model.safetensors", {"x": torch.zeros(1)})
    with pytest.raises(UserError, match="ElectraForPreTraining"):
        from_transformers(tmp_path)


def test_the_papers_model_takes_a_step_and_has_the_published_size():
    preset = PRESETS["paper"]
    electra = Electra(preset)
    ids, mask = rows(preset.vocab_size, 2, 12, True)
    optimizer = torch.optim.AdamW(electra.parameters(), lr=preset.learning_rate)
    electra(ids, mask).loss.backward()
    optimizer.step()
    published = transformers_config(preset, "discriminator") | {"max_position_embeddings": 512}
    config = transformers.ElectraConfig(**published)
    with torch.device("meta"):
        theirs = sum(p.numel() for p in transformers.ElectraForPreTraining(config).parameters())
    ours = sum(p.numel() for p in electra.discriminator.parameters())
    # The rest are their 384 further positions and 2 token types.
    assert theirs - ours == (512 - preset.max_length + 2) * preset.embedding
    assert round(theirs / 1e6) == 14  # published: 14 M


# --- fine-tuned models --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "auto"), [
    ("classifier", "AutoModelForSequenceClassification"), ("reader", "AutoModelForQuestionAnswering"),
    ("tagger", "AutoModelForTokenClassification"),
])
def test_a_fine_tuned_model_gives_the_same_answers_in_transformers(kind, auto, tmp_path):
    electra = Electra(SMALL.with_changes(layers=2))
    body = finetune.body_of(electra, layers=1, dropout=0.1)
    classes = () if kind == "reader" else ("bad", "fair", "good")
    model = {"classifier": lambda: finetune.Classifier(body, 3, 0.1), "reader": lambda: finetune.SpanReader(body),
             "tagger": lambda: finetune.Tagger(body, 3, 0.1)}[kind]().eval()
    fit = finetune.Fit(model, train_tokenizer(LINES, 120), finetune.Recipe(layers=1), classes)
    folder = export_tuned(fit, electra.preset, tmp_path / "tuned")
    theirs = getattr(transformers, auto).from_pretrained(folder).eval()
    ids, mask = torch.randint(5, 100, (3, 9)), torch.arange(9) < torch.tensor([[9], [4], [6]])
    with torch.no_grad():
        said = theirs(input_ids=ids, attention_mask=mask.long())
        ours = model(ids, mask)
    if kind == "reader":
        logits = torch.stack([said.start_logits, said.end_logits], dim=-1)
    else:
        logits = said.logits
        assert theirs.config.id2label == {0: "bad", 1: "fair", 2: "good"}
    real = mask if ours.dim() == 3 else slice(None)
    assert torch.allclose(logits[real], ours[real], atol=1e-5)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pair = ("Who sees?", "The old dog doesn't see cats.")
    assert tokenizer(*pair)["input_ids"] == fit.tokenizer.encode(*pair).ids
    with pytest.raises(UserError, match="already holds something"):
        export_tuned(fit, electra.preset, folder)
