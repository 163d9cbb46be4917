"""What the live views share: a widget that draws in the page, and under it a picture that needs no widget.

A widget is gone with its kernel, and an untrusted notebook never shows one. So each live view puts two things
below its cell: its static twin, plain HTML that is kept up to date and is what a saved, exported or untrusted
notebook shows; and the widget, which hides the twin for as long as it is drawn itself.
"""
import secrets
from html import escape
from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).resolve().parent
STYLE = (HERE / "live.css").read_text("utf-8")
# JupyterLab writes "model not found" where the kernel that held a widget is gone. The twin above shows the last
# picture, so that line is hidden; an untrusted notebook drops this style, and shows AGAIN in the widget's place.
HIDE_THE_LOST = ("<style>.jp-OutputArea-child:has(.{twin}) + .jp-OutputArea-child > .jupyter-widgets:not(:has(*))"
                 "{{display:none}}</style>")
AGAIN = ("<p style=\"margin:4px 0;font-size:13px\">This is the last picture that was drawn. Run the cell to play "
         "with it.</p>")


def front_end(name):
    """The script of a view, with what all views share before it."""
    return "".join((HERE / f"{part}.js").read_text("utf-8") for part in ("live", name))


class Live(anywidget.AnyWidget):
    """A widget with a static twin. A view of its own gives `_esm`, `_css` and `static()`, the twin's HTML."""

    twin = traitlets.Unicode().tag(sync=True)  # the class of the twin in the page: the front end hides it

    def __init__(self, **traits):
        super().__init__(twin=f"electra-twin-{secrets.token_hex(4)}", **traits)
        self.shown = False

    def static(self):
        """The twin: what the view shows now, as HTML with inline styles."""
        raise NotImplementedError

    def twin_html(self):
        """The twin with the class by which the live view hides it."""
        return f'{HIDE_THE_LOST.format(twin=self.twin)}<div class="{escape(self.twin)}">{self.static()}</div>'

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/html": AGAIN}, metadata

    def _ipython_display_(self):
        from IPython.display import HTML, display  # only notebooks have it

        display(HTML(self.twin_html()), display_id=self.twin)
        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        self.shown = True

    def refresh(self):
        """Bring the twin up to date, so that what is saved is what was seen last."""
        if self.shown:
            from IPython.display import HTML, update_display

            update_display(HTML(self.twin_html()), display_id=self.twin)


class Said:
    """A sentence in the place of a view that cannot be drawn."""

    def __init__(self, sentence):
        self.sentence = sentence

    def _repr_html_(self):
        return said_html(self.sentence)

    def __repr__(self):
        return self.sentence


def said_html(sentence):
    """A sentence in a box, readable on any theme."""
    return ('<p style="margin:0;padding:8px 10px;border:2px solid #b34700;border-radius:6px;background-color:#ffffff;'
            f'color:#111111"><bdi>{escape(sentence)}</bdi></p>')


def paper(sentence):
    """A sentence below a picture, readable on any theme."""
    return f'<p style="margin:4px 0;background-color:#ffffff;color:#111111"><bdi>{escape(sentence)}</bdi></p>'
