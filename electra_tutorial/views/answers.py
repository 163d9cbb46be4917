"""A question, the text it is about, and the answer marked in it, as HTML and as text.

Inline styles only, which is what an untrusted notebook keeps. What was typed is escaped.
"""
from html import escape

from electra_tutorial.views.strip import BLUE, PAPER, Strip

MARK = f"background-color:rgb{BLUE};border-bottom:3px solid #111111;color:#111111;padding:1px 2px;"
BOX = f"{PAPER}padding:8px 10px;margin:4px 0;border:1px solid #c4c4c4;border-radius:6px;line-height:1.7;"


def answer_view(question, context, answer, right=None):
    """The context with the answer marked; right: what it should have been, said below. A `Strip`.

    answer: an `Answer`, whose start and end are characters of the context.
    """
    before, marked, after = context[:answer.start], context[answer.start:answer.end], context[answer.end:]
    notes = [] if right is None else ["right" if right == marked else f"it should be: {right}"]
    notes += [answer.note] if answer.note else []
    alt = f"Question: {question} Answer, marked in the text: {marked}." + "".join(f" {note}." for note in notes)
    said = "".join(f'<div style="color:#595959;">{escape(note)}</div>' for note in notes)
    html = (f'<div role="figure" aria-label="{escape(alt)}" style="{BOX}"><b>{escape(question)}</b><br>'
            f'{escape(before)}<mark style="{MARK}">{escape(marked)}</mark>{escape(after)}{said}</div>')
    text = "\n".join([question, f"    {before}[{marked}]{after}", *(f"    {note}" for note in notes)])
    return Strip(html, text, alt)
