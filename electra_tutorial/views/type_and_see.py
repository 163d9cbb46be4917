"""A line to type in, and under it what is made of it, anew with every letter: the smallest live view there is.

The widget knows no model. What it shows comes from a function of the text, whose result has `html` that needs no
script and in which all that was typed is escaped, as a token strip has.
"""
import traitlets

from electra_tutorial.errors import UserError
from electra_tutorial.views.live import STYLE, Live, front_end, said_html


class TypeAndSee(Live):
    """`show(text)` of whatever stands in a line of text. `heard` counts what came from the browser."""

    _esm = front_end("type_and_see")
    _css = STYLE
    label = traitlets.Unicode().tag(sync=True)
    typed = traitlets.Unicode().tag(sync=True)  # from the page
    picture = traitlets.Unicode().tag(sync=True)  # to the page
    status = traitlets.Unicode("Type in the line above.").tag(sync=True)  # to the page

    def __init__(self, text, show, label="Your sentence:"):
        self.make, self.heard = show, 0
        super().__init__(label=label, typed=text, picture=show(text).html)
        self.observe(self.answer, "typed")

    def answer(self, change):
        """The kernel's side: what was typed has arrived, and what it looks like goes back."""
        self.heard += 1
        try:
            self.picture = self.make(change["new"]).html
        except UserError as why:  # such as an empty line: the next letter will do
            self.picture = said_html(str(why))
        times = "1 change" if self.heard == 1 else f"{self.heard} changes"
        self.status = f"Widgets work: {times} of yours went from the browser to the kernel and came back."
        self.refresh()

    def static(self):
        return self.picture
