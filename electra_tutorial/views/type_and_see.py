"""A line to type in, and under it what is made of it, anew with every letter: the smallest widget there is.

The widget knows no model. What it shows comes from a function of the text, whose result has `html`, as a token
strip has. A notebook that is opened again, without the kernel, shows the first picture.
"""
from html import escape

from ipywidgets import HTML, Layout, Text, VBox

from electra_tutorial.errors import UserError


class TypeAndSee(VBox):
    """`show(text)` of whatever stands in a line of text. `heard` counts what came from the browser."""

    def __init__(self, text, show, label="Your sentence:"):
        self.show, self.heard = show, 0
        self.line = Text(text, description=label, layout=Layout(width="95%"), style={"description_width": "initial"})
        self.status, self.picture = HTML(told("Type in the line above.")), HTML(show(text).html)
        super().__init__([self.line, self.status, self.picture])
        self.line.observe(self.answer, "value")

    def answer(self, change):
        """The kernel's side: what was typed has arrived, and what it looks like goes back."""
        self.heard += 1
        try:
            self.picture.value = self.show(change["new"]).html
        except UserError as why:  # such as an empty line: the next letter will do
            self.picture.value = told(str(why))
        times = "1 change" if self.heard == 1 else f"{self.heard} changes"
        self.status.value = told(f"Widgets work: {times} of yours went from the browser to the kernel and came back.")

    def _repr_mimebundle_(self, **options):
        """For a page without a kernel: the picture as it is now."""
        return super()._repr_mimebundle_(**options) | {"text/html": self.picture.value}


def told(sentence):
    """A sentence that may repeat what was typed, as HTML; in ink of its own, for dark themes."""
    return ('<p style="margin:4px 0;padding:0 4px;background-color:#ffffff;color:#111111;line-height:20px">'
            f"<bdi>{escape(sentence)}</bdi></p>")
