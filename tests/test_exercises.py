"""Exercises: every right answer passes, every wrong one gets a sentence, and nothing a student does ends a lesson."""
import ast
import inspect
import linecache
import os
import random
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from electra_tutorial import objective
from electra_tutorial.cli import main
from electra_tutorial.course import exercise as trying
from electra_tutorial.course import exercises
from electra_tutorial.course import mine as keeping
from electra_tutorial.course.definitions import import_lines, read_module
from electra_tutorial.course.execute import run_lesson
from electra_tutorial.course.exercise import verdict
from electra_tutorial.course.exercises import cards, find
from electra_tutorial.course.mine import DAMAGED, FILE, mine, yours
from electra_tutorial.course.pages import FETCHES, write_pages
from electra_tutorial.course.weave import FIRST, weave, weave_all, weave_kit
from electra_tutorial.errors import UserError
from electra_tutorial.model import Electra
from electra_tutorial.training import pretrain
from electra_tutorial.views.data_flow import owner

NAMES = list(cards())
each = pytest.mark.parametrize("name", NAMES)
IMPORTS = "import numpy as np\nimport torch\nimport torch.nn.functional as F"
CHECK = "from electra_tutorial.course.check import check\ncheck({!r})"


class Notebook:
    """Runs cells as IPython does: the text of each is kept, and an error ends no more than its cell."""

    def __init__(self, capsys):
        self.capsys, self.namespace = capsys, {"__name__": "__main__", "In": [""]}
        self.run(IMPORTS)

    def run(self, cell):
        """What the cell prints, or its error."""
        name = f"<cell {len(self.namespace['In'])} of {id(self)}>"
        self.namespace["In"].append(cell)
        linecache.cache[name] = len(cell), None, cell.splitlines(keepends=True), name
        try:
            exec(compile(cell, name, "exec"), self.namespace)
        except Exception as error:
            return repr(error)
        return self.capsys.readouterr().out

    def check(self, name):
        """What a check prints. Whatever it thinks, the notebook then has a function to go on with."""
        said = self.run(CHECK.format(name))
        assert callable(self.namespace[name]) and said.startswith(f"{name}: "), said
        assert max(map(len, said.splitlines())) < 120
        return " ".join(said.split())

    def goes_on_with_the_reference(self, name):
        return self.namespace[name] is find(name).reference


@pytest.fixture
def notebook(capsys, tmp_path, monkeypatch):
    """A notebook in a folder and a kernel of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keeping, "unwritten", {})
    return Notebook(capsys)


def module_of(name):
    return read_module(f"electra_tutorial.{cards()[name].module}", "a test")


def import_as_its_lesson_does(name, notebook):
    module = module_of(name)
    notebook.run(import_lines([module.importing(needed) for needed in module.needs(name)]))


# --- the exercises themselves ---------------------------------------------------------------------

@each
def test_a_card_says_all_that_a_student_needs(name):
    card = cards()[name]
    assert 1 <= card.difficulty <= 3 and card.minutes > 0 and len(card.task) > 60 and len(card.hint) > 40
    accidental = [line for line in f"{card.task}\n{card.hint}".splitlines() if re.match(r"([-+*]|\d+[.)]) ", line)]
    assert not accidental, "Markdown would make a list of what begins so"
    assert find(name).name == name and find(name).lesson == card.lesson
    assert inspect.getmodule(find(name).reference).__name__ == f"electra_tutorial.{card.module}"


@each
def test_an_exercise_is_short_and_calls_no_other(name):
    module, node = module_of(name), module_of(name).find(name)
    lines = node.end_lineno - node.body[0].end_lineno  # behind the docstring
    assert lines <= 15 and not module.needs(name) & set(NAMES)


@each
def test_the_stub_is_told_that_it_is_empty(name, notebook):
    notebook.run(module_of(name).stub(name))
    assert "still empty" in notebook.check(name) and notebook.goes_on_with_the_reference(name)


@each
def test_no_statement_of_the_solution_stands_in_the_stub(name):
    def statements(text):
        body = [node for node in ast.walk(ast.parse(text).body[0]) if isinstance(node, ast.stmt)]
        return {ast.unparse(node) for node in body if not isinstance(getattr(node, "value", None), ast.Constant)}

    solution, stub = module_of(name).source(name), module_of(name).stub(name)
    assert not statements(solution) & statements(stub) and statements(solution)


@each
def test_the_solution_passes_and_is_kept(name, notebook, tmp_path):
    import_as_its_lesson_does(name, notebook)
    notebook.run(module_of(name).source(name))
    said = notebook.check(name)
    assert said == f"{name}: right, and the lesson goes on with yours. {FILE} keeps it."
    assert not notebook.goes_on_with_the_reference(name)
    done, problems = yours()
    assert list(done) == [name] and not problems


@each
def test_a_right_answer_is_tried_long_before_it_would_be_called_endless(name):
    started = time.process_time()
    assert verdict(find(name), find(name).reference) == ""
    assert time.process_time() - started < trying.LONGEST / 4


@each
def test_every_mistake_we_know_gets_its_own_sentence(name):
    for sentence, wrong in find(name).mistakes:
        assert verdict(find(name), wrong).startswith(sentence + "\n"), wrong.__name__


def test_lessons_00_to_06_set_twenty_exercises_and_each_from_01_on_at_least_three():
    set_for = [sum(card.lesson == lesson for card in cards().values()) for lesson in range(7)]
    assert sum(set_for) >= 20 and set_for[0] == 1 and min(set_for[1:6]) >= 3


# --- wrong answers that people write --------------------------------------------------------------

WRONG = {
    "attention_at": {
        "(attention, distance): columns look": ("""
            return reference(attention.T, distance)""", "You look the other way"),
        "(attention, distance): over all tokens": ("""
            T = len(attention)
            shares = [attention[i, i + distance] for i in range(T) if 0 <= i + distance < T]
            return float(sum(shares) / T) if shares else float("nan")""", "You divide by T"),
        "(attention, distance): round the end": ("""
            T = len(attention)
            if abs(distance) >= T:
                return float("nan")
            return float(sum(attention[i, (i + distance) % T] for i in range(T)) / T)""", "no neighbour there"),
        "(attention, distance): nothing is zero": ("""
            T = len(attention)
            return reference(attention, distance) if abs(distance) < T else 0.0""", "so return nan"),
    },
    "attention_entropy": {
        "(attention): in bits": ("""
            return reference(attention) / 0.6931471805599453""", "gives bits"),
        "(attention): negative": ("""
            return -reference(attention)""", "The sign is missing"),
        "(attention): nan at zero": ("""
            import numpy
            with numpy.errstate(all="ignore"):
                return float(-(attention * numpy.log(attention)).sum(-1).mean())""", "A share of 0 makes yours nan"),
        "(attention): over every entry": ("""
            return reference(attention) / len(attention)""", "sum over each row first"),
    },
    "rollout": {
        "(attentions): the first layer on the left": ("""
            import numpy
            T = attentions[0].shape[-1]
            sources = numpy.eye(T)
            for layer in attentions:
                sources = sources @ ((layer.mean(0) + numpy.eye(T)) / 2)
            return sources""", "wrong order"),
        "(attentions): heads alone": ("""
            import numpy
            sources = numpy.eye(attentions[0].shape[-1])
            for layer in attentions:
                sources = layer.mean(0) @ sources
            return sources""", "residual connection"),
        "(attentions): mean of layers": ("""
            import numpy
            T = attentions[0].shape[-1]
            return sum((layer.mean(0) + numpy.eye(T)) / 2 for layer in attentions) / len(attentions)""",
            "so multiply them"),
        "(attentions): twice as much": ("""
            return 2.0 ** len(attentions) * reference(attentions)""", "do not halve"),
    },
    "rewards": {
        "(discriminator_logits, labels): labels that are no numbers": ("""
            loss = F.binary_cross_entropy_with_logits
            return loss(discriminator_logits, labels, reduction="none")""", "`.float()` makes 1 and 0"),
        "(logits, labels): what was right": ("""
            return -reference(logits, labels)""", "You rewarded what the discriminator got right"),
        "(logits, labels): the other way round": ("""
            return reference(-logits, labels)""", "the labels the wrong way round"),
        "(logits, labels): only fakes": ("""
            return torch.where(labels, reference(logits, labels), torch.zeros_like(logits))""", "a lucky sample"),
        "(logits, labels): log of a sigmoid": ("""
            p = torch.sigmoid(logits)
            return -torch.where(labels, p, 1 - p).log()""", "the sigmoid is rounded"),
    },
    "mean_of_others": {
        "(rewards): of all": ("""
            return rewards * 0 + rewards.mean()""", "You gave the mean of all"),
        "(rewards): divided by all": ("""
            return (rewards.sum() - rewards) / len(rewards)""", "You divided by N"),
        "(rewards): one alone": ("""
            return (rewards.sum() - rewards) / (len(rewards) - 1)""", "All is well but for a single reward"),
        "(rewards): subtracted": ("""
            return rewards - reference(rewards)""", "You subtracted the baseline already"),
    },
    "policy_loss": {
        "(log_p, rewards, baseline=0.0): up": ("""
            return -reference(log_p, rewards, baseline)""", "The sign is wrong"),
        "(log_p, rewards, baseline=0.0): a sum": ("""
            return reference(log_p, rewards, baseline) * len(log_p)""", "take the mean"),
        "(log_p, rewards, baseline=0.0): no baseline": ("""
            return reference(log_p, rewards)""", "You left the baseline out"),
        "(log_p, rewards, baseline=0.0): not detached": ("""
            return -((rewards - baseline) * log_p).mean()""", "A gradient goes back into `rewards`"),
        "(log_p, rewards, baseline=0.0): all detached": ("""
            return reference(log_p.detach(), rewards, baseline)""", "No gradient reaches `log_p`"),
    },
    "prediction_entropy": {
        "(logits): no sign": ("""
            return -reference(logits)""", "The sign is missing"),
        "(logits): nan": ("""
            p = logits.softmax(-1)
            return -(p * p.log()).sum(-1)""", "makes yours nan"),
        "(logits): bits": ("""
            return reference(logits) / 0.6931471805599453""", "That is in bits"),
        "(logits): the mean": ("""
            return reference(logits) / logits.shape[-1]""", "You took the mean over the vocabulary"),
    },
    "steps_in": {
        "(minutes, seconds, spared=0.04): in minutes": ("""
            return max(2, int(minutes * (1 - spared) // seconds))""", "You took the minutes for seconds"),
        "(minutes, seconds, spared=0.04): all for steps": ("""
            return max(2, int(minutes * 60 / seconds))""", "You left out what goes into exams"),
        "(minutes, seconds, spared=0.04): rounded": ("""
            return max(2, round(minutes * 60 * (1 - spared) / seconds))""", "You round"),
        "(minutes, seconds, spared=0.04): none at all": ("""
            return int(minutes * 60 * (1 - spared) / seconds)""", "at least 2 steps"),
        "(minutes, seconds, spared=0.04): a float": ("""
            return float(reference(minutes, seconds, spared))""", "whole number"),
    },
    "found": {
        "(suspicions, positions): by argmax": ("""
            right = [int(s.argmax()) == p for s, p in zip(suspicions, positions)]
            return sum(right) / len(right) if right else float("nan")""", "you take the first word alone"),
        "(suspicions, positions): all ties": ("""
            right = [s[p] >= s.max() for s, p in zip(suspicions, positions)]
            return float(np.mean(right)) if right else float("nan")""", "Ties all count as found"),
        "(suspicions, positions): at a half": ("""
            right = [s[p] > 0.5 for s, p in zip(suspicions, positions)]
            return float(np.mean(right)) if right else float("nan")""", "above the other words"),
        "(suspicions, positions): no sentence": ("""
            return reference(suspicions, positions) if len(positions) else 0.0""", "return nan there"),
        "(suspicions, positions): a count": ("""
            return reference(suspicions, positions) * len(positions)""", "number of sentences"),
    },
    "most_suspected": {
        "(p_replaced, special): by argmax": ("""
            import numpy
            return int(numpy.argmax(p_replaced))""", "You counted [CLS] and [SEP] too"),
        "(p_replaced, special): the first and the last left out": ("""
            return p_replaced.index(max(p_replaced[1:-1]))""", "it returns"),
        "(p_replaced, special): the number": ("""
            highest = 0
            for p, skip in zip(p_replaced, special):
                if not skip and p > highest:
                    highest = p
            return highest""", "You return the probability itself"),
        "(p_replaced, special): filtered first": ("""
            p = [p for p, skip in zip(p_replaced, special) if not skip]
            return max(range(len(p)), key=p.__getitem__)""", "You counted places without [CLS]"),
        "(p_replaced, special): looked up among all": ("""
            p = [p for p, skip in zip(p_replaced, special) if not skip]
            return p_replaced.index(max(p))""", "and then its place among all"),
        "(p_replaced, special): a loop with >=": ("""
            best = None
            for place in range(len(p_replaced)):
                if not special[place] and (best is None or p_replaced[place] >= p_replaced[best]):
                    best = place
            return best""", "Of several equal tokens you took the last"),
        "(p_replaced, special): special ones alone": ("""
            return max((p, place) for place, (p, skip) in enumerate(zip(p_replaced, special)) if skip)[1]""",
            "it returns"),
        "(p_replaced, special): blanked in place": ("""
            for place, skip in enumerate(special):
                if skip:
                    p_replaced[place] = -1
            return p_replaced.index(max(p_replaced))""", "It changes its input"),
    },
    "attention_weights": {
        "(query, key, visible=None): columns": ("""
            scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
            if visible is not None:
                scores = scores.masked_fill(~visible, -1e9)
            return F.softmax(scores, -2)""", "Your columns sum to 1"),
        "(query, key, visible=None): no scale": ("""
            scores = query @ key.mT
            if visible is not None:
                scores = scores.masked_fill(~visible, float("-inf"))
            return torch.softmax(scores, dim=-1)""", "did not divide by the square root"),
        "(query, key, visible=None): columns, and minus infinity": ("""
            scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
            if visible is not None:
                scores = scores.masked_fill(~visible, float("-inf"))
            return scores.softmax(-2)""", "Your columns sum to 1"),
        "(query, key, visible=None): .T": ("""
            scores = query @ key.T / query.shape[-1] ** 0.5
            if visible is not None:
                scores = scores.masked_fill(~visible, float("-inf"))
            return scores.softmax(-1)""", "turns round all axes"),
        "(query, key, visible=None): the mask times the shares": ("""
            shares = torch.softmax(query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5, dim=-1)
            return shares if visible is None else shares * visible.float()""", "no longer sums to 1"),
        "(query, key, visible=None): the mask times the scores": ("""
            scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
            if visible is not None:
                scores = scores * visible
            return scores.softmax(-1)""", "e to the 0 is 1"),
        "(query, key, visible=None): the mask for the scores": ("""
            scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
            if visible is not None:
                scores = scores.masked_fill(visible, float("-inf"))
            return scores.softmax(-1)""", "You hid the visible ones"),
        "(query, key, visible=None): no mask": ("""
            return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1)""", "do not use `visible`"),
        "(query, key, visible=None): scaled by T": ("""
            return reference(query * query.shape[-1] ** 0.5 / query.shape[-2] ** 0.5, key, visible)""",
            "the number of tokens T"),
        "(query, key, visible=None): scaled in place": ("""
            query /= query.shape[-1] ** 0.5
            return reference(query * query.shape[-1] ** 0.5, key, visible)""", "It changes its input"),
    },
    "split_heads": {
        "(x, heads): view": ("""
            B, T, D = x.shape
            return x.reshape(B, heads, T, D // heads)""", "The shape is right, and the numbers are not"),
        "(x, heads): no transpose": ("""
            return x.unflatten(-1, (heads, -1))""", "The tokens still stand before the heads"),
        "(x, heads): a list": ("""
            return x.chunk(heads, dim=-1)""", "should return a tensor"),
        "(x, heads): stacked in front": ("""
            return torch.stack(x.split(x.shape[-1] // heads, dim=-1))""", "in front of the sentences"),
        "(x, heads): a size with a point": ("""
            B, T, D = x.shape
            return x.view(B, T, heads, D / heads).transpose(1, 2)""", "divides without a rest"),
        "(x, heads): parts of that size": ("""
            return x.unflatten(-1, (-1, heads)).transpose(1, 2)""", "parts of size `heads`"),
    },
    "merge_heads": {
        "(x): reshape": ("""
            B, H, T, size = x.shape
            return x.reshape(B, T, H * size)""", "The shape is right, and the numbers are not"),
        "(x): view after transpose": ("""
            B, H, T, size = x.shape
            return x.transpose(1, 2).view(B, T, H * size)""", "it raises"),
        "(x): the mean": ("""
            return x.mean(1)""", "You took the mean of the heads"),
        "(x): the sum": ("""
            return x.sum(1)""", "You add the heads up"),
    },
    "mask_tokens": {
        "(ids, special, rate, mask_id, keep=0.0, rng=None): a coin each": ("""
            chosen = (torch.rand(ids.shape, generator=rng) < rate) & ~special
            return ids.masked_fill(chosen, mask_id), chosen""", "A coin for each place"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): a row that has nothing to choose": ("""
            lottery = torch.rand(ids.shape, generator=rng).masked_fill(special, 2.0)
            wanted = ((~special).sum(dim=1, keepdim=True) * rate + 0.5).floor().clamp(min=1)
            chosen = lottery.argsort(dim=1).argsort(dim=1) < wanted
            hidden = chosen & (torch.rand(ids.shape, generator=rng) >= keep)
            return ids.masked_fill(hidden, mask_id), chosen""", "also where a row has nothing else"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): one argsort": ("""
            lottery = torch.rand(ids.shape, generator=rng).masked_fill(special, 2.0)
            wanted = ((~special).sum(dim=1, keepdim=True) * rate + 0.5).floor().clamp(min=1)
            chosen = (lottery.argsort(dim=1) < wanted) & ~special
            return ids.masked_fill(chosen, mask_id), chosen""", "a place's rank takes two"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): one half to the even number": ("""
            lottery = torch.rand(ids.shape, generator=rng).masked_fill(special, 2.0)
            wanted = ((~special).sum(dim=1, keepdim=True) * rate).round().clamp(min=1)
            chosen = (lottery.argsort(dim=1).argsort(dim=1) < wanted) & ~special
            return ids.masked_fill(chosen & (torch.rand(ids.shape, generator=rng) >= keep), mask_id), chosen""",
            "one half to the even number"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): kept by rank": ("""
            lottery = torch.rand(ids.shape, generator=rng).masked_fill(special, 2.0)
            rank = lottery.argsort(dim=1).argsort(dim=1)
            wanted = ((~special).sum(dim=1, keepdim=True) * rate + 0.5).floor().clamp(min=1)
            chosen = (rank < wanted) & ~special
            return ids.masked_fill(chosen & (rank >= wanted * keep), mask_id), chosen""",
            "Toss a coin for each chosen place"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): drawn with replacement": ("""
            chosen = torch.zeros_like(special)
            for row in range(len(ids)):
                places = (~special[row]).nonzero().flatten()
                if len(places):
                    wanted = max(1, int(len(places) * rate + 0.5))
                    chosen[row, places[torch.randint(len(places), (wanted,), generator=rng)]] = True
            return ids.masked_fill(chosen, mask_id), chosen""", "places drawn one by one can repeat"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): special tokens too": ("""
            places = torch.rand(ids.shape, generator=rng).argsort(dim=1).argsort(dim=1)
            chosen = places < (ids.shape[1] * rate + 0.5)
            return ids.masked_fill(chosen, mask_id), chosen""", "where `special` is True"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): the first places": ("""
            line = (~special).cumsum(dim=1)
            wanted = ((~special).sum(dim=1, keepdim=True) * rate + 0.5).floor().clamp(min=1)
            chosen = (line <= wanted) & ~special
            return ids.masked_fill(chosen, mask_id), chosen""", "each should have its turn"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): kept is not chosen": ("""
            masked_ids, chosen = reference(ids, special, rate, mask_id, keep, rng)
            return masked_ids, masked_ids == mask_id""", "still chosen"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): keep ignored": ("""
            return reference(ids, special, rate, mask_id, 0.0, rng)""", "should be about 0.2"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): the global stream": ("""
            return reference(ids, special, rate, mask_id, keep)""", "pass generator=rng"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): on the processor": ("""
            lottery = torch.rand(ids.shape, generator=rng).masked_fill(special, 2.0)
            wanted = ((~special).sum(dim=1, keepdim=True) * rate + 0.5).floor().clamp(min=1)
            chosen = (lottery.argsort(dim=1).argsort(dim=1) < wanted) & ~special
            hidden = chosen & (torch.rand(ids.shape, generator=rng) >= keep)
            return ids.masked_fill(hidden, mask_id), chosen""", "on a GPU it would fail"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): in place": ("""
            masked_ids, chosen = reference(ids, special, rate, mask_id, keep, rng)
            return ids.copy_(masked_ids), chosen""", "`ids.clone()`"),
        "(ids, special, rate, mask_id, keep=0.0, rng=None): one answer": ("""
            return reference(ids, special, rate, mask_id, keep, rng)[0]""", "should return a tuple of 2"),
    },
    "sample_tokens": {
        "(logits, temperature=1.0, rng=None): one dart for all": ("""
            p = (logits.float() / max(temperature, 1e-9)).softmax(-1).cumsum(-1)
            return (p < torch.rand(1, generator=rng)).sum(-1).clamp(max=logits.shape[-1] - 1)""",
            "draw anew for each row"),
        "(logits, temperature=1.0, rng=None): argmax": ("""
            return logits.argmax(dim=-1)""", "the likeliest (argmax)"),
        "(logits, temperature=1.0, rng=None): the global stream": ("""
            if temperature == 0:
                return logits.argmax(dim=-1)
            p = torch.softmax(logits.float() / temperature, dim=-1)
            return torch.multinomial(p, 1).squeeze(1) if len(p) else p.new_zeros(0).long()""",
            "pass generator=rng"),
        "(logits, temperature=1.0, rng=None): no temperature": ("""
            return reference(logits, 1.0, rng)""", "divide the logits"),
        "(logits, temperature=1.0, rng=None): times the temperature": ("""
            return reference(logits, 1 / temperature, rng) if temperature else logits.argmax(-1)""",
            "divide the logits"),
        "(logits, temperature=1.0, rng=None): noise on probabilities": ("""
            p = torch.softmax(logits.float() / (temperature or 1e-9), dim=-1)
            noise = -torch.log(-torch.log(torch.rand(p.shape, generator=rng)))
            return (p + noise).argmax(dim=-1)""", "Draw from softmax(logits)"),
        "(logits, temperature=1.0, rng=None): evenly": ("""
            return torch.randint(logits.shape[1], (len(logits),), generator=rng)""", "Draw from softmax"),
        "(logits, temperature=1.0, rng=None): noise in half precision": ("""
            if temperature == 0:
                return logits.argmax(dim=-1)
            u = torch.rand(logits.shape, generator=rng, dtype=logits.dtype)
            return (logits / temperature - torch.log(-torch.log(u))).argmax(dim=-1)""", "`logits.float()`"),
        "(logits, temperature=1.0, rng=None): running sums in half precision": ("""
            if temperature == 0:
                return logits.argmax(dim=-1)
            ends = torch.softmax(logits / temperature, dim=-1).cumsum(dim=-1)
            darts = torch.rand(len(logits), 1, generator=rng, dtype=ends.dtype) * ends[:, -1:]
            return torch.searchsorted(ends, darts, right=True).squeeze(1).clamp(max=logits.shape[1] - 1)""",
            "cannot tell their running sums apart"),
        "(logits, temperature=1.0, rng=None): all in half precision": ("""
            logits = logits.bfloat16()
            if temperature == 0:
                return logits.argmax(dim=-1)
            p = torch.softmax(logits / temperature, dim=-1)
            return torch.multinomial(p, 1, generator=rng).squeeze(1) if len(p) else logits.new_zeros(0).long()""",
            "keep float32"),
        "(logits, temperature=1.0, rng=None): on the processor": ("""
            if temperature == 0:
                return logits.argmax(dim=-1)
            ends = torch.softmax(logits.float() / temperature, dim=-1).cumsum(dim=-1)
            darts = torch.rand(len(logits), 1, generator=rng) * ends[:, -1:]
            return torch.searchsorted(ends, darts, right=True).squeeze(1).clamp(max=logits.shape[1] - 1)""",
            "on a GPU it would fail"),
        "(logits, temperature=1.0, rng=None): no squeeze": ("""
            return torch.multinomial(torch.softmax(logits.float(), -1), 1, generator=rng)""",
            "and shape (1, 1), and should return"),
    },
    "corrupt": {
        "(ids, chosen, samples): in place": ("""
            corrupted_ids = ids
            corrupted_ids[chosen] = samples
            return corrupted_ids""", "`ids.clone()`"),
        "(ids, chosen, samples): torch.where": ("""
            return torch.where(chosen, samples, ids)""", "write them in by an index"),
        "(ids, chosen, samples): the samples alone": ("""
            return samples.clone()""", "reads the whole rows"),
        "(ids, chosen, samples): chained": ("""
            out = ids.clone()
            out[chosen][:] = samples
            return out""", "The samples never arrived"),
        "(ids, chosen, samples): nothing": ("""
            new = ids.clone()
            new[chosen] = samples""", "Is there a `return`?"),
        "(ids, chosen, samples): by a loop over columns": ("""
            out, number = ids.clone(), 0
            for column in range(ids.shape[1]):
                for row in range(ids.shape[0]):
                    if chosen[row, column]:
                        out[row, column] = samples[number]
                        number += 1
            return out""", "row by row"),
    },
    "replaced_labels": {
        "(ids, corrupted_ids): polarity": ("return torch.eq(ids, corrupted_ids)", "wrong way round"),
        "(ids, corrupted_ids): the masked text": ("return corrupted_ids == 4", "a lucky sample must count"),
        "(ids, corrupted_ids): floats": ("return (ids != corrupted_ids).float()", "a tensor of bool"),
        "(ids, corrupted_ids): a row each": ("return (ids != corrupted_ids).sum(1) > 0", "one answer a row"),
        "(ids, corrupted_ids): no label 0": (
            "return torch.logical_and(ids > 0, ids != corrupted_ids)", "0 is a token like the others"),
        "(ids, corrupted_ids): a bool": ("return bool((ids != corrupted_ids).any())", "one answer for everything"),
    },
    "electra_loss": {
        "(generator_loss, discriminator_loss, weight=50.0): swapped": (
            "return generator_loss * weight + discriminator_loss", "lambda belongs to"),
        "(generator_loss, discriminator_loss, weight=50.0): sum": (
            "return sum([generator_loss, discriminator_loss])", "left the weight out"),
        "(generator_loss, discriminator_loss, weight=50.0): fixed": (
            "return discriminator_loss * 50 + generator_loss", "wrote the number 50"),
        "(generator_loss, discriminator_loss, weight=50.0): numbers": ("""
            if isinstance(generator_loss, torch.Tensor):
                return torch.tensor(generator_loss.item() + weight * discriminator_loss.item())
            return generator_loss + weight * discriminator_loss""", "No gradient flows"),
    },
    "roc_auc": {
        "(scores, labels): strict": ("""
            pairs = [a > b for a in scores[labels] for b in scores[~labels]]
            return float(np.mean(pairs)) if pairs else float("nan")""", "counts for nothing"),
        "(scores, labels): how many are won": ("""
            ranks = np.array([(scores < x).sum() + ((scores == x).sum() + 1) / 2 for x in scores])
            n = labels.sum()
            if n == 0 or n == len(labels):
                return float("nan")
            return float(ranks[labels].sum() - n * (n + 1) / 2)""", "divide by the number of pairs"),
        "(scores, labels): strict, and no thought of none": ("""
            pairs = [a > b for a in scores[labels] for b in scores[~labels]]
            return sum(pairs) / max(1, len(pairs))""", "counts for nothing"),
        "(scores, labels): not strict": ("""
            pairs = [a >= b for a in scores[labels] for b in scores[~labels]]
            return float(np.mean(pairs)) if pairs else float("nan")""", "counts as won"),
        "(scores, labels): the wrong way round": ("""
            a, b = scores[~labels][:, None], scores[labels][None, :]
            return float((a > b).mean() + (a == b).mean() / 2) if a.size and b.size else float("nan")""",
            "wrong way round"),
        "(scores, labels): accuracy": ("return np.mean((scores > 0.5) == labels)", "has no threshold"),
        "(scores, labels): ranks by place": ("""
            ranks = np.argsort(np.argsort(scores)) + 1
            n, m = labels.sum(), len(labels) - labels.sum()
            return (ranks[labels].sum() - n * (n + 1) / 2) / (n * m) if n * m else float("nan")""",
            "Equal scores get different ranks"),
        "(scores, labels): a loop over the pairs": ("""
            a, b = scores[labels].tolist(), scores[~labels].tolist()
            won = 0.0
            for x in a:
                for y in b:
                    won += 1.0 if x > y else 0.5 if x == y else 0.0
            return won / (len(a) * len(b)) if a and b else float("nan")""", "20 million pairs take it"),
        "(scores, labels): none is 0": ("""
            value = reference(scores, labels)
            return 0.0 if np.isnan(value) else value""", "should return nan"),
        "(scores, labels): a tensor": ("return torch.tensor(reference(scores, labels))", "should return a number"),
    },
    "recall": {
        "(scores, labels, threshold=0.0): precision": ("""
            flagged = scores > threshold
            return float((flagged & labels).sum() / flagged.sum())""", "That is the precision"),
        "(scores, labels, threshold=0.0): accuracy": (
            "return float(np.mean((scores > threshold) == labels))", "That is the accuracy"),
        "(scores, labels, threshold=0.0): of all": (
            "return ((scores > threshold) & labels).sum() / len(labels)", "divide by the number of replaced"),
        "(scores, labels, threshold=0.0): equal too": (
            "return np.mean(scores[labels] >= threshold)", "only those above it"),
        "(scores, labels, threshold=0.0): a half": (
            "return np.mean(scores[labels] > 0.5)", "a logit of 0 is a probability of one half"),
        "(scores, labels, threshold=0.0): no threshold": (
            "return np.mean(scores[labels] > 0)", "ignore `threshold`"),
    },
    "loss_floor": {
        "(share): bits": ("""
            if share in (0, 1):
                return 0.0
            return -share * np.log2(share) - (1 - share) * np.log2(1 - share)""", "That is in bits"),
        "(share): one of two": ("return -share * np.log(share) if share else 0.0", "forgot the original tokens"),
        "(share): the ends": (
            "return -share * np.log(share) - (1 - share) * np.log(1 - share)", "0 times log(0) counts as 0"),
        "(share): the ends, by math": ("""
            from math import log
            return -share * log(share) - (1 - share) * log(1 - share)""", "0 times log(0) counts as 0"),
        "(share): not weighed": ("""
            return -np.log(share) - np.log(1 - share) if 0 < share < 1 else 0.0""", "added up the two costs"),
        "(share): the sign": (
            "return sum(p * np.log(p) for p in (share, 1 - share) if p)", "The sign is wrong"),
    },
    "learning_rate": {
        "(step, total, peak, warmup): from zero": ("""
            rising = max(1, round(total * warmup))
            if step < rising:
                return peak * step / rising
            return peak * (total - step) / max(1, total - rising)""", "teaches nothing"),
        "(step, total, peak, warmup): steps": ("""
            if step < warmup:
                return peak * (step + 1) / warmup
            return peak * (total - step) / (total - warmup)""", "it is a share of `total`"),
        "(step, total, peak, warmup): constant": ("""
            rising = max(1, round(total * warmup))
            return peak if step >= rising else peak * (step + 1) / rising""", "stays at the peak"),
        "(step, total, peak, warmup): a jump": ("""
            rising = max(1, round(total * warmup))
            return peak * (step + 1) / rising if step < rising else peak * (1 - step / total)""", "jumps down"),
        "(step, total, peak, warmup): cut off": ("""
            rising = int(total * warmup) or 1
            return peak * (step + 1) / rising if step < rising else peak * (total - step) / (total - rising)""",
            "round it"),
    },
    "update": {
        "(loss, optimizer, groups, limit): no zero": ("""
            loss.backward()
            clip_gradients(groups, limit)
            optimizer.step()""", "Set them to zero"),
        "(loss, optimizer, groups, limit): zero first": ("""
            optimizer.zero_grad()
            loss.backward()
            clip_gradients(groups, limit)
            optimizer.step()""", "comes last"),
        "(loss, optimizer, groups, limit): zero too early": ("""
            loss.backward()
            clip_gradients(groups, limit)
            optimizer.zero_grad()
            optimizer.step()""", "too early"),
        "(loss, optimizer, groups, limit): step first": ("""
            optimizer.step()
            loss.backward()
            clip_gradients(groups, limit)
            optimizer.zero_grad()""", "too early"),
        "(loss, optimizer, groups, limit): no clipping": ("""
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()""", "clip after `backward`"),
        "(loss, optimizer, groups, limit): clipped behind the step": ("""
            loss.backward()
            optimizer.step()
            clip_gradients(groups, limit)
            optimizer.zero_grad()""", "clip after `backward`"),
        "(loss, optimizer, groups, limit): a limit of its own": ("""
            loss.backward()
            clip_gradients(groups, 1.0)
            optimizer.step()
            optimizer.zero_grad()""", "use `limit`"),
        "(loss, optimizer, groups, limit): all as one": ("""
            loss.backward()
            clip_gradients([[p for group in groups for p in group]], limit)
            optimizer.step()
            optimizer.zero_grad()""", "Hand all groups"),
        "(loss, optimizer, groups, limit): the loss returned": ("""
            reference(loss, optimizer, groups, limit)
            return loss.item()""", "return nothing"),
    },
    "longest_match": {
        "(word, vocabulary): the shortest": ("""
            pieces, start = [], 0
            while start < len(word):
                for end in range(start + 1, len(word) + 1):
                    piece = ("##" if start else "") + word[start:end]
                    if piece in vocabulary:
                        pieces.append(piece)
                        start = end
                        break
                else:
                    return ["[UNK]"]
            return pieces""", "You took the shortest piece"),
        "(word, vocabulary): looked up bare": ("""
            pieces, start = [], 0
            while start < len(word):
                for end in range(len(word), start, -1):
                    if word[start:end] in vocabulary:
                        pieces.append("##" * bool(start) + word[start:end])
                        start = end
                        break
                else:
                    return ["[UNK]"]
            return pieces""", "without `##`"),
        "(word, vocabulary): returned bare": ("""
            return [piece.replace("##", "") for piece in reference(word, vocabulary)]""", "lost their `##`"),
        "(word, vocabulary): what was found so far": ("""
            pieces, start = [], 0
            while start < len(word):
                for end in range(len(word), start, -1):
                    piece = ("##" if start else "") + word[start:end]
                    if piece in vocabulary:
                        pieces.append(piece)
                        start = end
                        break
                else:
                    return pieces + ["[UNK]"]
            return pieces""", "keep the pieces found so far"),
        "(word, vocabulary): a word": ("""
            return " ".join(reference(word, vocabulary))""", "should return a list"),
        "(word, vocabulary): without an end": ("""
            pieces, start = [], 0
            while start < len(word):
                for end in range(len(word), start, -1):
                    if ("##" if start else "") + word[start:end] in vocabulary:
                        pieces.append(("##" if start else "") + word[start:end])
                        start = end
                        break
            return pieces""", "For word = 'thinking'"),
    },
    "apart_from": {
        "(sentences, others, names): lines": ("""
            return [s for s in sentences if s not in set(others)]""", "You compared the sentences themselves"),
        "(sentences, others, names): those that leak": ("""
            new = reference(sentences, others, names)
            return [s for s in sentences if s not in new]""", "the sentences that leak"),
        "(sentences, others, names): templates": ("""
            from electra_tutorial.corpus import template
            seen = {template(s, names) for s in others}
            return [t for t in (template(s, names) for s in sentences) if t not in seen]""",
            "as they were written"),
        "(sentences, others, names): no names": ("""
            from electra_tutorial.corpus import template
            seen = {template(s) for s in others}
            return [s for s in sentences if template(s) not in seen]""", "gave `template` no names"),
        "(sentences, others, names): a list to look into": ("""
            seen = [template(s, names) for s in others]
            return [s for s in sentences if template(s, names) not in seen]""", "looks at every entry"),
        "(sentences, others, names): all templates anew for each": ("""
            return [s for s in sentences if template(s, names) not in [template(o, names) for o in others]]""",
            "looks at every entry"),
        "(sentences, others, names): a set": ("""
            return set(reference(sentences, others, names))""", "should return a list"),
        "(sentences, others, names): once each": ("""
            return list(dict.fromkeys(reference(sentences, others, names)))""",
            "should return ['I know.', 'I know.'"),
    },
    "pad": {
        "(rows): the mask upside down": ("""
            ids, mask = reference(rows)
            return ids, mask == 0""", "wrong way round"),
        "(rows): from the right": ("""
            width = max(map(len, rows))
            ids, mask = torch.zeros(len(rows), width).long(), torch.zeros(len(rows), width).bool()
            for number, row in enumerate(rows):
                ids[number, width - len(row):] = torch.tensor([int(i) for i in row])
                mask[number, width - len(row):] = True
            return ids, mask""", "with the padding in front"),
        "(rows): cut": ("""
            shortest = min(map(len, rows))
            ids = torch.tensor([[int(i) for i in row[:shortest]] for row in rows])
            return ids, ids > -1""", "cut every row to the shortest"),
        "(rows): no padding in the mask": ("""
            ids = reference(rows)[0]
            return ids, ids >= 0""", "True everywhere"),
        "(rows): a mask of numbers": ("""
            ids, mask = reference(rows)
            return ids, mask.long()""", "a tensor of bool"),
        "(rows): lengthened in place": ("""
            T = max(map(len, rows))
            mask = torch.tensor([[1] * len(row) + [0] * (T - len(row)) for row in rows]).bool()
            for number, row in enumerate(rows):
                rows[number] = list(row) + [PAD_ID] * (T - len(row))
            return torch.tensor(np.array(rows).astype(int)), mask""", "[part.copy() for part in rows]"),
        "(rows): the ids alone": ("""
            return reference(rows)[0]""", "should return a tuple of 2"),
        "(rows): stacked": ("""
            return torch.stack([torch.tensor(row) for row in rows]), None""", "it raises"),
        "(rows): the type of the rows": ("""
            ids, mask = reference(rows)
            return ids.to(torch.as_tensor(rows[0]).dtype), mask""", "array([2, 9, 3], uint16)"),
    },
    "unigram_loss": {
        "(counts, targets): no one added": ("""
            p = counts / counts.sum()
            return -np.log(p[targets]).mean()""", "did not add one"),
        "(counts, targets): the old sum": ("""
            p = (counts + 1) / counts.sum()
            return -np.log(p[targets]).mean()""", "more than 1"),
        "(counts, targets): one for the sum": ("""
            p = (counts + 1) / (counts.sum() + 1)
            return -np.log(p[targets]).mean()""", "only one to their sum"),
        "(counts, targets): bits": ("""
            p = (counts + 1) / (counts + 1).sum()
            return -np.log2(p[targets]).mean()""", "That is in bits"),
        "(counts, targets): the sign": ("""
            p = (counts + 1) / (counts + 1).sum()
            return np.log(p[targets]).mean()""", "The sign is wrong"),
        "(counts, targets): all of the vocabulary": ("""
            p = (counts + 1) / (counts + 1).sum()
            return -np.log(p).mean()""", "over the vocabulary"),
        "(counts, targets): the entropy": ("""
            p = (counts + 1) / (counts + 1).sum()
            return -np.sum(p * np.log(p))""", "the entropy of the training text"),
        "(counts, targets): counted in place": ("""
            counts += 1
            return -np.log(counts[targets] / counts.sum()).mean()""", "It changes its input"),
        "(counts, targets): no mean": ("""
            p = (counts + 1) / (counts + 1).sum()
            return -np.log(p[targets])""", "should return a number"),
    },
    "suspected_word": {
        "(judgement): a piece": ("""
            best = max(range(1, len(judgement.pieces) - 1), key=lambda place: judgement.p_replaced[place])
            return judgement.corrupted[best]""", "You return a piece"),
        "(judgement): the mean": ("""
            best, highest = None, -1
            for word, places in zip(judgement.corrupted_words(), judgement.words):
                mean = sum(judgement.p_replaced[place] for place in places) / max(1, len(places))
                if mean > highest:
                    best, highest = word, mean
            return best""", "You took the mean"),
        "(judgement): the first piece": ("""
            words = judgement.corrupted_words()
            return max(range(len(words)), key=lambda n: judgement.p_replaced[judgement.words[n][0]]) and words[
                max(range(len(words)), key=lambda n: judgement.p_replaced[judgement.words[n][0]])] or words[0]""",
            "the first piece of each word"),
        "(judgement): the sum": ("""
            sums = [sum(judgement.p_replaced[place] for place in places) for places in judgement.words]
            return judgement.corrupted_words()[sums.index(max(sums))]""", "added up the pieces"),
        "(judgement): its number": ("""
            tops = [max(judgement.p_replaced[place] for place in places) for places in judgement.words]
            return tops.index(max(tops))""", "a number, and should return a str"),
        "(judgement): empty words not thought of": ("""
            tops = [max(judgement.p_replaced[place] for place in places) for places in judgement.words]
            return judgement.corrupted_words()[tops.index(max(tops))]""", "it raises ValueError"),
    },
    "suspicion_gained": {
        "(judgement): probabilities": ("""
            return np.subtract(judgement.p_replaced, judgement.p_unedited)""", "the difference of the probabilities"),
        "(judgement): logs": ("""
            return np.log(np.array(judgement.p_replaced) / np.array(judgement.p_unedited))""",
            "log(1 - p) is missing"),
        "(judgement): before minus after": ("""
            def odds(p):
                return np.array(p) / (1 - np.array(p))
            return np.log(odds(judgement.p_unedited) / odds(judgement.p_replaced))""", "The sign is wrong"),
        "(judgement): log2": ("""
            p, q = np.array(judgement.p_replaced), np.array(judgement.p_unedited)
            return np.log2(p / (1 - p)) - np.log2(q / (1 - q))""", "Nats are np.log"),
        "(judgement): a list": ("return list(reference(judgement))", "should return an array of float64"),
    },
    "unnoticed_fake": {
        "(): one sentence": ("return 'The dog sat on the mat in the sun.'", "a tuple of two strings"),
        "(): the same": ("return reference()[0], reference()[0]", "The two sentences are the same"),
        "(): short": ("return 'The dog sat.', 'The cat sat.'", "fewer than five words"),
        "(): two words": (
            "return reference()[0], reference()[1].replace('two', 'six')", "2 words differ (paris, six)"),
        "(): another length": ("return reference()[0], 'Yes, ' + reference()[0]", "exchange one word for one word"),
        "(): noticed": ("return reference()[0], reference()[0].replace('London', 'of')", "Noticed: "),
        "(): not English": ("""
            return 'Ich habe gestern einen Hund gesehen.', 'Ich habe gestern einen Baum gesehen.'""",
            "Take plain English"),
    },
    "position_waves": {
        "(length, width, base=1000.0): doubled twice": ("""
            i = torch.arange(0, width, 2)
            angle = torch.arange(length)[:, None] * base ** (-2 * i / width)
            return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width]""", "it is 2 * i already"),
        "(length, width, base=1000.0): in turns": ("""
            table = torch.zeros(length, width)
            for place in range(length):
                for column in range(width):
                    angle = torch.tensor(place * base ** (-(column - column % 2) / width))
                    table[place, column] = angle.cos() if column % 2 else angle.sin()
            return table""", "take turns"),
        "(length, width, base=1000.0): faster and faster": ("""
            angle = torch.outer(torch.arange(length).float(), base ** (torch.arange(0, width, 2) / width))
            return torch.hstack([angle.sin(), angle.cos()])[:, :width]""", "get faster"),
        "(length, width, base=1000.0): i without 2": ("""
            angle = torch.outer(torch.arange(length).float(), base ** (-torch.arange((width + 1) // 2) / width))
            return torch.hstack([angle.sin(), angle.cos()])[:, :width]""", "-2 i / width"),
        "(length, width, base=1000.0): the paper's base": ("""
            return reference(length, width, 10000.0)""", "where `base` is asked"),
        "(length, width, base=1000.0): from place 1": ("""
            return reference(length + 1, width, base)[1:]""", "begin at 1"),
        "(length, width, base=1000.0): too wide": ("""
            angle = torch.outer(torch.arange(length).float(), base ** (-torch.arange(0, width, 2) / width))
            return torch.hstack([angle.sin(), angle.cos()])""", "a column too many"),
        "(length, width, base=1000.0): transposed": ("""
            return reference(length, width, base).T""", "and should return"),
    },
    "feed_forward": {
        "(x, up, down): no bend": ("return down(up(x))", "no GELU in yours"),
        "(x, up, down): a ReLU": ("return down(up(x).clamp(min=0))", "That is a ReLU"),
        "(x, up, down): bent last": ("return F.gelu(down(up(x)))", "comes last"),
        "(x, up, down): with residual": ("return x + reference(x, up, down)", "the block adds it"),
        "(x, up, down): by tanh": ("""
            h = up(x)
            return down(h / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (h + 0.044715 * h**3))))""", "approximation"),
        "(x, up, down): one layer": ("return F.gelu(up(x))", "and should return"),
        "(x, up, down): in place": ("return x.copy_(reference(x, up, down))", "`x.clone()`"),
    },
    "layer_parameters": {
        "(width, feed_forward): no biases": ("""
            return 4 * width**2 + 2 * width * feed_forward + 4 * width""", "forgot the biases:"),
        "(width, feed_forward): matrices": ("return 4 * width**2 + 2 * width * feed_forward", "and the norms"),
        "(width, feed_forward): no output": ("""
            return 3 * width * (width + 1) + 2 * width * feed_forward + feed_forward + width + 4 * width""",
            "the attention's output"),
        "(width, feed_forward): no norms": ("return reference(width, feed_forward) - 4 * width", "two norms"),
        "(width, feed_forward): a bias for each input": ("""
            D, M = width, feed_forward
            return 4 * (D * D + D) + (D * M + M) + (M * D + M) + 4 * D""", "for each of its *outputs*"),
        "(width, feed_forward): norms of one number": (
            "return reference(width, feed_forward) - 2 * width", "Half of your norms"),
        "(width, feed_forward): a string": ("return str(reference(width, feed_forward))", "should return a number"),
    },
    "word_log_odds": {
        "(counts): the other way": ("""
            shares = (counts + 1) / (counts + 1).sum(1, keepdim=True)
            return torch.log(shares[0] / shares[1])""", "turned round"),
        "(counts): one added late": ("""
            total = counts.sum(dim=-1)
            return torch.log((counts[1] + 1) / total[1]) - torch.log((counts[0] + 1) / total[0])""",
            "do not sum to 1"),
        "(counts): no shares": ("return torch.log((counts[1] + 1) / (counts[0] + 1))", "You compare counts"),
        "(counts): no logarithm": ("""
            shares = (counts + 1) / (counts + 1).sum(1, keepdim=True)
            return shares[1] / shares[0]""", "You return ratios"),
    },
    "layer_scales": {
        "(layers, decay): the head first": ("return [decay**n for n in range(layers + 2)]", "from the top down"),
        "(layers, decay): the head too": (
            "return [decay ** (layers + 2 - n) for n in range(layers + 2)]", "The head should get 1"),
        "(layers, decay): no embeddings": (
            "return [decay**n for n in range(layers, -1, -1)]", "The embeddings are missing"),
    },
    "should_stop": {
        "(losses, patience): neighbours": ("""
            if patience == 0 or len(losses) <= patience:
                return False
            return all(losses[-n] >= losses[-n - 1] for n in range(1, patience + 1))""", "You compare neighbours"),
        "(losses, patience): equal": ("""
            if patience == 0 or len(losses) <= patience:
                return False
            return all(loss > min(losses[:-patience]) for loss in losses[-patience:])""", "no gain"),
        "(losses, patience): zero": (
            "return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience] or [0])",
            "must never stop"),
        "(losses, patience): the newest": (
            "return patience > 0 and len(losses) > patience and losses[-1] >= min(losses[:-1])",
            "the newest loss alone"),
    },
    "best_span": {
        "(start, end, longest): apart": ("return int(torch.argmax(start)), int(torch.argmax(end))", "apart"),
        "(start, end, longest): any length": ("""
            spans = [(i, j) for i in range(len(start)) for j in range(i, len(start))]
            return max(spans, key=lambda span: (start[span[0]] + end[span[1]]).item())""", "too long"),
        "(start, end, longest): one too long": ("""
            spans = [(i, j) for i in range(len(start)) for j in range(i, min(len(start), i + longest + 1))]
            return max(spans, key=lambda span: (start[span[0]] + end[span[1]]).item())""", "one too long"),
        "(start, end, longest): the start first": ("""
            first = int(torch.argmax(start))
            return first, first + int(torch.argmax(end[first:first + longest]))""", "best start first"),
    },
    "span_f1": {
        "(said, right): sets": ("""
            common = len(set(said) & set(right))
            return 2 * common / (len(said) + len(right)) if common else 0.0""", "sets forget that"),
        "(said, right): precision": (
            "return sum((Counter(said) & Counter(right)).values()) / max(len(said), 1)", "precision alone"),
        "(said, right): recall": (
            "return sum((Counter(said) & Counter(right)).values()) / len(right)", "recall alone"),
        "(said, right): twice": ("""
            common = len([word for word in said if word in right])
            if common == 0:
                return 0.0
            return 2 * (common / len(said)) * (common / len(right)) / (common / len(said) + common / len(right))""",
            "stands once in `right`"),
    },
    "window_starts": {
        "(length, room, step): the end is lost": (
            "return list(range(0, max(0, length - room) + 1, step))", "must reach it"),
        "(length, room, step): none where all fits": (
            "return [start for start in range(0, length - room, step)]", "ends too soon"),
        "(length, room, step): to the end": (
            "return [n for n in range(length) if n % step == 0]", "You go on after"),
        "(length, room, step): side by side": ("""
            starts = [0]
            while starts[-1] + room < length:
                starts.append(starts[-1] + room)
            return starts""", "do not overlap"),
    },
}  # name -> {"signature: what is wrong": (body, what is said)}
WRONG_ANSWERS = [(name, key, *rest) for name, wrong in WRONG.items() for key, rest in wrong.items()]


def definition(name, signature, body):
    """A function as a student writes it, with the reference at hand for what is not wrong about it."""
    home = cards()[name].module
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return f"from electra_tutorial.{home} import {name} as reference\n\n\ndef {name}{signature}:\n{body}\n"


@pytest.mark.parametrize(("name", "key", "body", "words"), WRONG_ANSWERS, ids=lambda value: str(value)[:60])
def test_a_wrong_answer_is_told_what_is_wrong_with_it(name, key, body, words, notebook, monkeypatch):
    monkeypatch.setattr(trying, "LONGEST", 2 if "without an end" in key else 60)
    import_as_its_lesson_does(name, notebook)
    notebook.run(definition(name, key[:key.rindex("):") + 1], body))
    said = notebook.check(name)
    assert said.startswith(f"{name}: not yet. ") and words in said
    assert notebook.goes_on_with_the_reference(name) and not os.path.exists(FILE)


@each
def test_at_least_three_wrong_answers_are_tried(name):
    assert len(WRONG[name]) >= 3 and len({words for _, words in WRONG[name].values()}) >= 3


# --- nonsense -------------------------------------------------------------------------------------

def change(value, how):
    """An answer changed a little; of a tuple its first part."""
    if isinstance(value, tuple):
        return change(value[0], how), *value[1:]
    if value is None or (isinstance(value, list) and isinstance(value[0], str)):
        return "something"
    return [value] if isinstance(value, str) else how(torch.as_tensor(value))


def wrong_shape(reference, *arguments):
    return change(reference(*arguments), lambda tensor: tensor[None])


def wrong_dtype(reference, *arguments):
    return change(reference(*arguments), lambda tensor: tensor.to(torch.complex64))


def a_string(reference, *arguments):
    return "yes"


def raises(reference, *arguments):
    raise KeyError("lost")


def leaves(reference, *arguments):
    sys.exit()


def prints(reference, *arguments):
    print("here I am")
    return reference(*arguments)


def never_ends(reference, *arguments):
    while True:
        pass


def never_ends_nor_fails(reference, *arguments):
    while True:
        try:
            sum(range(1000))
        except Exception:
            pass


SAID = {wrong_shape: "returns", wrong_dtype: "returns", a_string: "returns", raises: "KeyError: 'lost'",
        leaves: "SystemExit", prints: "it prints ('here I am')", never_ends: "a loop that never ends",
        never_ends_nor_fails: "a loop that never ends"}


@each
@pytest.mark.parametrize("nonsense", SAID, ids=lambda function: function.__name__)
def test_nonsense_gets_one_sentence_and_the_lesson_goes_on(name, nonsense, notebook, monkeypatch):
    monkeypatch.setattr(trying, "LONGEST", 0.3 if "never" in nonsense.__name__ else 60)
    reference = find(name).reference
    notebook.namespace[name] = lambda *arguments: nonsense(reference, *arguments)
    said = notebook.check(name)
    assert said.startswith(f"{name}: not yet. ") and SAID[nonsense] in said
    assert notebook.goes_on_with_the_reference(name) and not os.path.exists(FILE)


@each
def test_an_answer_that_returns_nothing_is_told_so(name, notebook):
    notebook.run(definition(name, "(*arguments)", "found = len(arguments)"))
    said = notebook.check(name)
    assert "not yet" in said and ("Is there a `return`?" in said or name == "update")


@pytest.mark.parametrize("name", ["mask_tokens", "sample_tokens", "corrupt", "replaced_labels", "roc_auc", "recall"])
def test_an_answer_that_changes_its_input_is_told_to_copy(name, notebook):
    notebook.run(definition(name, "(first, *rest)", "found = reference(first, *rest)\nfirst += 1\nreturn found"))
    assert "It changes its input" in notebook.check(name) and notebook.goes_on_with_the_reference(name)


@pytest.mark.parametrize(("cell", "words"), [
    ("class corrupt:\n    pass", "is a class"),
    ("corrupt = 7", "is 7, and should be a function"),
    ("corrupt = None", "no function of that name"),
    ("def corrupt(ids, chosen):\n    return ids", "takes 2 positional arguments but 3 were given"),
    ("def corrupt(ids, chosen, samples):\n    return lost(ids)", "Have you run the cells above"),
    ("def corrupt(ids, chosen, samples):\n    raise NotImplementedError", "still empty"),
    ("def corrupt(ids, chosen, samples)\n    return ids", "Python cannot read your cell (expected ':', line 1"),
    ("deff corrupt(ids, chosen, samples):\n    return ids", "Python cannot read your cell"),
    ("def corrupt(ids, chosen, samples):\nreturn ids", "Python cannot read your cell"),
    ("def corupt(ids, chosen, samples):\n    return ids", "There is no function of that name"),
    ("1 / 0\ndef corrupt(ids, chosen, samples):\n    return ids", "There is no function of that name"),
])
def test_a_cell_that_defines_no_such_function_is_met_with_a_sentence(cell, words, notebook):
    notebook.run(cell)
    assert words in notebook.check("corrupt") and notebook.goes_on_with_the_reference("corrupt")


def test_a_check_shows_those_numbers_of_a_judgement_that_the_task_speaks_of(notebook):
    notebook.run("def suspicion_gained(judgement):\n    return np.zeros(4)")
    said = notebook.check("suspicion_gained")
    assert "p_replaced=[" in said and "p_unedited=[" in said and "corrupted" not in said


def test_a_check_of_something_else_names_the_exercises(notebook):
    said = " ".join(notebook.run(CHECK.format("corrup")).split())
    assert said.startswith("There is no exercise 'corrup': there are ") and "corrupt" in said


def test_a_right_answer_on_a_busy_machine_is_given_time(notebook, monkeypatch):
    monkeypatch.setattr(trying, "LONGEST", 1.0)
    notebook.run("import time\n" + RIGHT.replace("    out = ", "    time.sleep(0.3)\n    out = "))
    assert "right, and" in notebook.check("corrupt")  # some waits long by the clock, and hardly any work


# --- what a check does ----------------------------------------------------------------------------

RIGHT = "def corrupt(ids, chosen, samples):\n    out = ids.clone()\n    out[chosen] = samples\n    return out\n"


def test_the_reference_is_never_counted(notebook):
    assert "There is no function of that name" in notebook.check("corrupt")
    assert "This is still the reference: run your cell first." in notebook.check("corrupt")
    assert not os.path.exists(FILE) and not yours()[0]
    notebook.run(RIGHT)
    assert "right, and" in notebook.check("corrupt") and list(yours()[0]) == ["corrupt"]


def test_a_cell_that_no_longer_compiles_is_not_passed_for_what_stood_there_before(notebook):
    notebook.run(RIGHT)
    assert "right, and" in notebook.check("corrupt")
    notebook.run(RIGHT.replace("(ids, chosen, samples)", "(ids, chosen, samples"))
    assert "Python cannot read your cell" in notebook.check("corrupt")
    notebook.run(RIGHT)
    assert "right, and" in notebook.check("corrupt")


def test_a_function_defined_twice_in_a_cell_is_said_to_be(notebook):
    notebook.run(RIGHT + "\n\n" + RIGHT.replace("ids.clone()", "1 * ids"))
    said = notebook.check("corrupt")
    assert "right, and" in said and "defines it twice" in said and "1 * ids" in open(FILE).read()
    assert open(FILE).read().count("def corrupt") == 1


def test_a_check_moves_no_random_stream_of_the_notebook(notebook):
    notebook.run(definition("sample_tokens", "(logits, temperature=1.0, rng=None)",
                            "np.random.rand(), torch.rand(3)\nreturn reference(logits, temperature, rng)"))
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    before = random.random(), np.random.rand(), torch.rand(2)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert "right, and" in notebook.check("sample_tokens")
    after = random.random(), np.random.rand(), torch.rand(2)
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


def test_an_answer_that_draws_otherwise_than_the_course_passes(notebook):
    notebook.run("""
def sample_tokens(logits, temperature=1.0, rng=None):
    if temperature == 0:
        return logits.argmax(dim=-1)
    if len(logits) == 0:
        return torch.zeros(0, dtype=torch.long)
    p = F.softmax(logits.float() / temperature, dim=-1)
    return torch.multinomial(p, 1, generator=rng).squeeze(1)""")
    assert "right, and" in notebook.check("sample_tokens")
    notebook.run("""
def mask_tokens(ids, special, rate, mask_id, keep=0.0, rng=None):
    masked, chosen = ids.clone(), torch.zeros_like(special)
    for row in range(len(ids)):
        places = (~special[row]).nonzero().flatten()
        wanted = max(1, int(len(places) * rate + 0.5))
        mine = places[torch.randperm(len(places), generator=rng, device=ids.device)[:wanted]]
        chosen[row, mine] = True
        masked[row, mine[torch.rand(len(mine), generator=rng, device=ids.device) >= keep]] = mask_id
    return masked, chosen""")
    assert "right, and" in notebook.check("mask_tokens")


# --- my_electra.py --------------------------------------------------------------------------------

def test_the_file_with_every_solution_is_a_module_that_a_linter_likes(notebook):
    for name in NAMES:
        import_as_its_lesson_does(name, notebook)
        notebook.run(module_of(name).source(name))
        assert "keeps it" in notebook.check(name)
    rules = ["--isolated", "--select", "F,E9", "--ignore", "F811"]  # each section has its own imports
    linted = subprocess.run([sys.executable, "-m", "ruff", "check", *rules, FILE], capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout
    code = f"import my_electra; print(all(callable(getattr(my_electra, name)) for name in {NAMES}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"


def test_a_newer_answer_takes_the_place_of_an_older_and_leaves_the_others(notebook):
    notebook.run(RIGHT)
    notebook.run("def replaced_labels(a, b):\n    return a != b")
    notebook.check("corrupt"), notebook.check("replaced_labels")
    notebook.run(RIGHT.replace("ids.clone()", "ids + 0"))
    notebook.check("corrupt")
    text = open(FILE).read()
    assert text.count("def corrupt") == 1 and "ids + 0" in text and "a != b" in text
    assert set(yours()[0]) == {"corrupt", "replaced_labels"}


def test_what_a_function_needs_is_kept_with_it(notebook):
    notebook.run("from torch import zeros_like as zeros, where as pick\nimport math\nNOTHING = 0")
    notebook.run("def half(x):\n    return math.floor(x / 2) + NOTHING")
    notebook.run("""
def corrupt(ids, chosen, samples):
    out = pick(zeros(chosen), ids, 1 * ids)
    out[chosen] = samples + half(1)
    return F.relu(out)""")
    assert "keeps it" in notebook.check("corrupt")
    text = open(FILE).read()
    for line in ("import math", "import torch.nn.functional as F", "NOTHING = 0",
                 "from torch import where as pick, zeros_like as zeros"):
        assert line in text.splitlines(), line
    assert text.index("def half") < text.index("def corrupt") and "np" not in text


def test_a_function_of_pytorchs_own_is_a_fine_answer(notebook):
    notebook.run("replaced_labels = torch.ne")
    assert "keeps it" in notebook.check("replaced_labels")
    assert "from torch import ne as replaced_labels" in open(FILE).read() and mine().label is torch.ne


@pytest.mark.parametrize(("cell", "words"), [
    ("OFFSET = torch.tensor([0])\n" + RIGHT.replace("= samples", "= samples + OFFSET"),
     "it uses `OFFSET` (Tensor) of your notebook"),
    ("def make(offset):\n" + textwrap.indent(RIGHT.replace("= samples", "= samples + offset"), "    ") +
     "    return corrupt\n\n\ncorrupt = make(0)", "by itself, without your notebook, it does not pass"),
    ("exec('def corrupt(ids, chosen, samples): return ids.masked_scatter(chosen, samples)')",
     "the source of `corrupt` was not found"),
])
def test_a_function_that_lives_by_its_notebook_counts_and_says_so(cell, words, notebook):
    notebook.run(cell)
    said = notebook.check("corrupt")
    assert "right, and" in said and words in said
    assert not os.path.exists(FILE) and mine().corrupt is notebook.namespace["corrupt"]


def test_a_folder_that_cannot_be_written_is_said_and_the_lesson_goes_on(notebook):
    os.mkdir(FILE)  # no file can take its place, not even root's
    notebook.run(RIGHT)
    said = notebook.check("corrupt")
    assert "right, and" in said and "could not keep it" in said and "still" not in said
    assert yours()[0]["corrupt"] is notebook.namespace["corrupt"] and "cannot be read" in yours()[1][0]
    os.rmdir(FILE)
    assert "keeps it" in notebook.check("corrupt")


def test_a_lesson_whose_folder_is_gone_says_so_and_goes_on(notebook, tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    notebook.run(RIGHT)
    said = notebook.check("corrupt")
    assert "right, and" in said and "cannot be written beside this lesson" in said
    assert "1 of 6" in notebook.run("from electra_tutorial.course.mine import progress; progress(5)")
    assert "learning_rate (for a second reading)" in " ".join(notebook.run("progress(4)").split())
    os.chdir(tmp_path)
    assert "keeps it" in notebook.check("corrupt")


def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(notebook):
    damaged = b"\xff\xfe\x00# === corrupt ==="
    open(FILE, "wb").write(damaged)
    said = notebook.check("corrupt")
    assert "There is no function of that name" in said and "safe" not in said
    assert "cannot be read" in notebook.run("from electra_tutorial.course.mine import progress; progress(5)")
    notebook.run(RIGHT)
    assert f"it is {DAMAGED} now" in notebook.check("corrupt")
    assert open(DAMAGED, "rb").read() == damaged and list(yours()[0]) == ["corrupt"]


@pytest.mark.parametrize(("old", "new", "words"), [
    ("return out", "return out[", "its source does not run (SyntaxError"),
    ("return out", "return ids", "The samples never arrived"),
    ("def corrupt", "def corrupted", "nothing in its section defines it"),
    ("def corrupt", "1 / 0\ndef corrupt", "its source does not run (ZeroDivisionError"),
])
def test_a_section_that_was_spoilt_spoils_no_other(old, new, words, notebook, capsys):
    notebook.run(RIGHT)
    notebook.run("def replaced_labels(a, b):\n    return a != b")
    notebook.check("corrupt"), notebook.check("replaced_labels")
    text = open(FILE).read() + "\n# A note of mine.\n"
    open(FILE, "w").write(text.replace(old, new, 1))
    made = mine()
    said = capsys.readouterr().out
    assert made.corrupt is objective.corrupt and made.label is not objective.replaced_labels
    assert "`corrupt` in my_electra.py is not used: " in said and words in said
    notebook.check("corrupt")
    assert "A note of mine." in open(FILE).read() and not yours()[1]


# --- training with it -----------------------------------------------------------------------------

SPY = """
def corrupt(ids, chosen, samples):
    corrupt.calls = getattr(corrupt, "calls", 0) + 1
    out = ids.clone()
    out[chosen] = samples
    return out
"""


def test_pretrain_calls_the_students_function(notebook, corpus, data, capsys):
    from conftest import toy_preset

    notebook.run(SPY)
    notebook.check("corrupt")
    made = mine()
    assert capsys.readouterr().out == ("Yours: corrupt\n"
                                       "Reference: mask_tokens, sample_tokens, replaced_labels, electra_loss\n")
    assert owner(made.corrupt) == "yours" and owner(made.mask) == "reference"
    preset = toy_preset()
    before = made.corrupt.calls
    pretrain(preset, corpus, model=Electra(preset, objective=made), steps=4, evaluations=1, dtype="float32",
             quiet=True)
    assert made.corrupt.calls >= before + 4


# --- a lesson -------------------------------------------------------------------------------------

LESSON = '''
# %% [markdown]
# # A toy

# %%
import torch

from electra_tutorial.course.mine import mine, progress

ids = torch.tensor([[2, 10, 11, 12, 3]])

# %%
from electra_tutorial.objective import corrupt  # weave: exercise

# %%
corrupted_ids = corrupt(ids, ids == 11, torch.tensor([77]))
assert corrupted_ids.tolist() == [[2, 10, 77, 12, 3]]

# %%
from electra_tutorial.objective import replaced_labels  # weave: exercise

# %%
assert replaced_labels(ids, corrupted_ids).sum() == 1
progress(5)
'''


@pytest.fixture
def lesson(tmp_path):
    """The path of a woven lesson with two exercises."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "05_toy.py").write_text(LESSON.lstrip())
    return weave_all(notebooks=tmp_path)[0]


def words_of(lesson):
    """{cell id: what it printed} of a lesson that was run."""
    cells = lesson.notebook.cells
    said = {cell.id: "".join(out.get("text", "") for out in cell.get("outputs", [])) for cell in cells}
    return {name: " ".join(words.split()) for name, words in said.items() if words}


def cell_called(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def test_run_all_on_an_untouched_lesson_reaches_the_end_and_says_what_is_open(lesson, tmp_path):
    ran = run_lesson(lesson, fast=True, folder=tmp_path)
    assert not ran.problem
    said = words_of(ran)
    assert "still empty" in said["exercise-corrupt-check"] and "still empty" in said["exercise-replaced_labels-check"]
    last = list(said.values())[-1]
    assert last.startswith("Lesson 05: 0 of ") and "corrupt, replaced_labels" in last
    assert not (tmp_path / FILE).exists()


def test_progress_outlives_the_kernel_and_cells_run_in_any_order(lesson, tmp_path):
    worked = nbformat.read(lesson, as_version=4)
    cell_called(worked, "exercise-corrupt").source = RIGHT
    cell_called(worked, "exercise-replaced_labels").source = "def replaced_labels(a, b):\n    return a !== b"
    nbformat.write(worked, lesson)
    ran = run_lesson(lesson, fast=True, folder=tmp_path)
    assert not ran.problem
    said = words_of(ran)
    assert "keeps it" in said["exercise-corrupt-check"]
    assert "Python cannot read your cell" in said["exercise-replaced_labels-check"]
    assert "1 of 6 exercises done (corrupt)" in list(said.values())[-1]

    # A new kernel, begun in the middle: a check, the imports at last, the same check behind its cell.
    names = ["exercise-corrupt-check", "kernel", "exercise-corrupt", "exercise-corrupt-check"]
    middle = [cell_called(worked, name) for name in names] + [worked.cells[2], worked.cells[-1]]
    again = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source) for cell in middle[:-1]])
    again.cells.append(nbformat.v4.new_code_cell("progress(5)"))
    again.metadata = worked.metadata
    nbformat.write(again, tmp_path / "again.ipynb")
    ran = run_lesson(tmp_path / "again.ipynb", fast=True, folder=tmp_path)
    assert not ran.problem
    first, second, last = words_of(ran).values()
    assert "There is no function of that name" in first and f"safe in {FILE}" in first and "keeps it" in second
    assert "1 of 6 exercises done (corrupt)" in last


def test_a_lesson_that_was_moved_says_what_to_move_along(notebook):
    notebook.run(RIGHT)
    notebook.check("corrupt")
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    said = notebook.run("from electra_tutorial.course.mine import progress; progress(5)")
    assert "0 of 6" in said and "if you moved the lesson, move that file too" in said


def test_a_kernel_without_the_package_is_told_so_by_the_first_cell(tmp_path):
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", FIRST], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("AssertionError: This kernel is not the course's: ")


def test_the_source_with_its_exercises_runs_as_a_plain_script(lesson, tmp_path):
    source = tmp_path / "source" / "05_toy.py"
    ran = subprocess.run([sys.executable, source], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


# --- weaving an exercise --------------------------------------------------------------------------

def test_an_exercise_is_four_cells_named_after_it(lesson):
    cells = [cell for cell in nbformat.read(lesson, as_version=4).cells if "corrupt" in cell.id]
    task, stub, check, more = cells
    assert [cell.id for cell in cells] == [f"exercise-corrupt{part}" for part in ("-task", "", "-check", "-help")]
    assert task.source.startswith("**Exercise: `corrupt`** · ●○○ · about 5 minutes\n\n")
    assert stub.metadata.tags == ["raises-exception"] and stub.source.endswith("    ...  # your code here")
    assert check.source.endswith('\n\ncheck("corrupt")')
    assert more.source.count("<details>") == more.source.count("</details>") == 2
    assert f"```python\n{module_of('corrupt').source('corrupt')}\n```" in more.source


@pytest.mark.parametrize(("line", "said"), [
    ("objective import Objective", "Objective of electra_tutorial.objective is no exercise"),
    ("metrics import corrupt", "electra_tutorial.metrics defines no function or class 'corrupt'"),
    ("metrics import wilson_interval", "wilson_interval of electra_tutorial.metrics is no exercise"),
    ("objective import corrupt, electra_loss", "weave one a cell"),
    ("metrics import recall", "the solution of recall uses np"),
])
def test_what_cannot_be_an_exercise_is_an_error_that_names_lesson_and_line(tmp_path, line, said):
    (tmp_path / "05_toy.py").write_text(f"# %%\nfrom electra_tutorial.{line}  # weave: exercise\n")
    with pytest.raises(UserError) as error:
        weave(tmp_path / "05_toy.py")
    assert str(error.value).startswith("Lesson 05_toy, line 1: ") and said in str(error.value)


@pytest.mark.parametrize("text", [
    "corrupt = Exercise(objective.corrupt, lesson=5, difficulty=1, minutes=5, task='...')",
    "corrupt = Exercise(objective.corrupt, lesson=LESSON, difficulty=1, minutes=5, task='...', hint='...')",
])
def test_a_card_that_is_not_complete_is_an_error_that_names_it(text, tmp_path, monkeypatch):
    (tmp_path / "objective.py").write_text(text)
    monkeypatch.setattr(exercises, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="'corrupt' in objective.py has no complete card"):
        cards.__wrapped__()


def test_exercises_are_read_without_waiting_for_pytorch():
    code = "import sys; from electra_tutorial.course.exercises import cards; cards(); " \
           "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- kits and pages -------------------------------------------------------------------------------

def test_a_kit_has_the_exercises_without_hints_and_solutions_and_says_so(lesson, tmp_path):
    (path,) = weave_kit(tmp_path / "kit", notebooks=tmp_path)
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells)
    assert "A hint" not in text and "A solution" not in text and "corrupted_ids[chosen] = samples" not in text
    assert cells[1].source.startswith("This copy of the lesson comes without hints and solutions.")
    whole = [cell.id for cell in nbformat.read(lesson, as_version=4).cells if not cell.id.endswith("-help")]
    assert [cell.id for cell in cells if cell.id != "kit"] == whole


def test_no_kit_of_any_lesson_holds_a_hint_or_an_answer(tmp_path):
    texts = {path.stem: path.read_text("utf-8") for path in weave_kit(tmp_path / "kit") if path.suffix == ".ipynb"}
    assert not any("<summary>A hint" in text or "<summary>A solution" in text for text in texts.values())
    tried = [(text, card) for stem, text in texts.items() for card in cards().values()
             if stem.startswith(f"{card.lesson:02}_")]
    for text, card in tried:
        body = module_of(card.name).find(card.name).body[-1]
        assert f"exercise-{card.name}-check" in text
        assert not isinstance(body, ast.Return) or f"    {ast.unparse(body)}\\n" not in text, card.name
    assert len(tried) > 20


def test_a_kit_writes_over_nothing(tmp_path):
    (tmp_path / "work.ipynb").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        weave_kit(tmp_path)
    assert (tmp_path / "work.ipynb").read_text() == "mine"


def test_the_command_writes_a_kit_and_nothing_over_it(tmp_path, capsys):
    assert main(["notebooks", "--kit", str(tmp_path / "kit")]) == 0
    said = capsys.readouterr().out.split()
    assert said and sorted(map(Path, said)) == sorted((tmp_path / "kit").iterdir())
    assert main(["notebooks", "--kit", str(tmp_path / "kit")]) == 2
    assert main(["notebooks", "--html", str(tmp_path / "kit")]) == 2
    assert "is not empty" in capsys.readouterr().err


SHOW = """
from IPython.display import HTML, display
from ipywidgets import IntSlider
display(HTML("<img alt='one point' src='data:image/png;base64,iVBORw0KGgo='><p>a <b>picture</b></p>"))
view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/html": "<i>the static twin</i>"}
display(view, raw=True)
IntSlider()
"""


def page(tmp_path, *cells):
    """The page of a notebook with these cells, and a cell of text with a formula and an answer."""
    text = "$x^2$\n\n<details><summary>Why?</summary>\n\nThe **answer**.\n\n</details>"
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells] + [nbformat.v4.new_markdown_cell(text)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "01_toy.ipynb")
    (path,) = write_pages([run_lesson(tmp_path / "01_toy.ipynb")], tmp_path / "pages", notebooks=tmp_path)
    return path.read_text("utf-8")


def test_a_page_asks_the_network_for_nothing_and_shows_the_static_twins(tmp_path):
    text = page(tmp_path, SHOW)
    assert "a <b>picture</b>" in text and "<i>the static twin</i>" in text and "data:image/png" in text
    assert not FETCHES.search(text) and "widget-state" not in text and "MathJax" not in text
    assert re.search(r"<details><summary>Why\?</summary>\s*<p>The <strong>answer</strong>.</p>\s*</details>", text)


def test_a_page_that_would_need_the_network_is_an_error(tmp_path):
    with pytest.raises(UserError, match="01_toy would fetch .*example.org/a.js"):
        page(tmp_path, "from IPython.display import HTML\nHTML('<script src=\"https://example.org/a.js\"></script>')")
