"""bertviz's head, model and neuron view, drawn without a network.

bertviz (Vig 2019) loads three libraries from the network each time it draws, so offline it stays blank. Here its own
code is left as it is, and put into a page of its own, an `<iframe>`, together with d3 (from mpld3) and jQuery (from
XStatic-jQuery), compressed, and with `bertviz_keys.js`, which does by keys what bertviz does by pointer only. Every
view stands below its static twin, which it hides once it has drawn: an untrusted notebook drops the frame and shows
the twin, and so does a browser without scripts.
"""
import base64
import gzip
import html
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from electra_tutorial.errors import UserError
from electra_tutorial.views.attention import attention_grid, attention_map

MOST_PIECES = 32  # more lines than that nobody can follow, and the page grows with the square
PLACES = 3  # decimals of what is sent; rounded as float64, or each would be written with sixteen
REQUIRE = re.compile(r'<script src="https?://[^"]*require[^"]*"></script>')
SCRIPT = re.compile(r'<script type="text/javascript">(.*?)</script>', re.S)
HIDDEN = {"<": "\ue000", ">": "\ue001", "&": "\ue002"}  # until bertviz has written its JSON; then as \u003c and so on
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>:root {{ color-scheme: light }} body {{ margin: 4px; background: #fff; color: #111; overflow-x: auto }}
svg text {{ fill: #111 }} select {{ font-size: 14px }} :focus-visible {{ outline: 3px solid #005a8f }}
#keys {{ margin: 4px 0; font: 12px system-ui, sans-serif; color: #595959 }}</style></head><body>{body}
<p id="keys">By keys: Tab goes from row to row, the arrow keys along a row; {keys}</p>
<script>(async () => {{
  const bytes = Uint8Array.from(atob("{code}"), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  const frame = window.frameElement;
  let fitted = "", inner = 0;
  const widthOf = (svg) => {{ // of what is seen of a drawing
    const parts = [...svg.children].filter((part) => part.getBBox && getComputedStyle(part).visibility !== "hidden");
    return Math.ceil(Math.max(0, ...parts.map((part) => part.getBBox()).map((box) => box.x + box.width)));
  }};
  const fit = () => {{ // give each drawing the width that it needs, and shrink all of them to the frame
    const drawings = [...document.querySelectorAll("svg")].map((svg) => [svg, widthOf(svg)]);
    const now = [inner = innerWidth, ...drawings.map(([, wide]) => wide)].join();
    if (now === fitted) return;
    fitted = now;
    document.body.style.zoom = "";
    for (const [svg, wide] of drawings) svg.style.minWidth = wide + 4 + "px";
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth + 1) document.body.style.zoom = Math.max(0.4, innerWidth / wide);
  }};
  const drawn = () => {{
    if (!document.querySelector("svg *")) return;
    fit();
    if (frame) {{
      frame.style.height = document.documentElement.offsetHeight + 12 + "px";
      frame.previousElementSibling.style.display = "none";
    }}
  }};
  addEventListener("resize", () => {{ if (innerWidth !== inner) drawn(); }});
  new ResizeObserver(drawn).observe(document.body);
  new MutationObserver(drawn).observe(document.body, {{
    childList: true, subtree: true, attributes: true, attributeFilter: ["visibility"],
  }});
  document.body.append(script);
}})();</script></body></html>"""
KEYS = (Path(__file__).resolve().parent / "bertviz_keys.js").read_text("utf-8")
LIBRARY = "window.require = {{ config() {{}} }}; window.requirejs = (names, make) => make(window.jQuery, window.d3);"


class Framed:
    """A live view in a frame, below the `Picture` that stands in for it. In a notebook it shows itself."""

    def __init__(self, title, page, twin):
        self.title, self.page, self.twin = title, page, twin

    def _repr_html_(self):
        source = self.page.replace("&", "&amp;").replace("'", "&#39;")  # the page has many more " than '
        style = "width:100%;height:1px;border:0;background-color:#ffffff"
        return (f'<div><div>{self.twin._repr_html_()}</div><iframe title="{html.escape(self.title)}" '
                f"style=\"{style}\" srcdoc='{source}'></iframe></div>")

    def __repr__(self):
        return repr(self.twin)


def head_view(look, layer=None, heads=None):
    """bertviz's head view of a `Look`: lines from who looks to what is looked at, one colour a head.

    layer, heads: what is shown at first (default: the first layer, all heads). Longer sentences than `MOST_PIECES`
    are cut, and the title says so.
    """
    from bertviz import head_view as view

    pieces, attentions, cut = shortened(look)
    made = view(batches(attentions), hidden(pieces), layer=layer, heads=heads, html_action="return")
    keys = "Enter shows or hides a head's lines, Shift with Enter shows this head alone."
    return framed("Head view", look, cut, made, attention_grid(pieces, attentions), keys)


def model_view(look):
    """bertviz's model view of a `Look`: every head of every layer small; a click shows one large."""
    from bertviz import model_view as view

    pieces, attentions, cut = shortened(look)
    made = view(batches(attentions), hidden(pieces), display_mode="light", html_action="return")
    return framed("Model view", look, cut, made, attention_grid(pieces, attentions), "Enter shows a head large.")


def neuron_view(look, layer=0, head=0):
    """bertviz's neuron view of a `Look`: query times key, feature by feature, for one head at a time."""
    from bertviz.neuron_view import show

    pieces, attentions, cut = shortened(look)
    T = len(pieces)
    layers = [{"attn": rounded(attention), "queries": rounded(query[:, :T]), "keys": rounded(key[:, :T])}
              for attention, query, key in zip(attentions, look.queries, look.keys, strict=True)]
    made = show(Model(layers), "bert", Tokens(hidden(pieces)), "what was read", display_mode="light", layer=layer,
                head=head, html_action="return")
    twin = attention_map(pieces, attentions[layer][head], f"Layer {layer}, head {head}")
    keys = "Enter opens or closes the reckoning of a token."
    return framed("Neuron view", look, cut, made, twin, keys)


# --- what bertviz is given ----------------------------------------------------------------------------------
def shortened(look):
    """(pieces, attentions, a sentence if anything was cut): bertviz draws `MOST_PIECES` at most."""
    T = min(len(look.pieces), MOST_PIECES)
    cut = f", the first {T} of {len(look.pieces)} pieces" if T < len(look.pieces) else ""
    return look.pieces[:T], [layer[:, :T, :T] for layer in look.attentions], cut


def rounded(array):
    """(H, T, ...) -> a float64 tensor (1, H, T, ...) with `PLACES` decimals."""
    return torch.from_numpy(np.round(np.asarray(array, dtype=np.float64), PLACES))[None]


def batches(attentions):
    """One attention (H, T, T) a layer -> the list of (1, H, T, T) that bertviz takes."""
    return [rounded(attention) for attention in attentions]


def hidden(pieces):
    """The pieces with the three signs that HTML gives a meaning put aside; `bare_script` brings them back as text."""
    return [Piece("".join(HIDDEN.get(sign, sign) for sign in piece)) for piece in pieces]


class Piece(str):
    """A piece that stays as it is: neuron view renames whatever equals its separators, a cut sentence's end too."""

    def replace(self, *old_and_new):
        return self


class Model:
    """What neuron view wants of a model: called, it returns what the layers did."""

    def __init__(self, layers):
        self.layers = layers

    def eval(self):
        return self

    def __call__(self, ids):
        return (self.layers,)


class Tokens:
    """What neuron view wants of a tokenizer: the pieces are here already, [CLS] and the last one included."""

    def __init__(self, pieces):
        self.cls_token, *self.inner, self.sep_token = pieces

    def tokenize(self, text):
        return self.inner

    def convert_tokens_to_ids(self, pieces):
        return [0] * len(pieces)


# --- a page that needs no network ---------------------------------------------------------------------------
def framed(name, look, cut, made, twin, keys):
    """bertviz's HTML as a `Framed` page: its one network address taken out, its libraries and our keys put in."""
    title = f"{name} of the {look.which}{cut}"
    body, script = bare_script(made.data)
    code = base64.b64encode(gzip.compress((libraries() + script + "\n;\n" + KEYS).encode(), mtime=0)).decode()
    return Framed(title, PAGE.format(title=html.escape(title), body=body, code=code, keys=keys), twin)


def bare_script(made):
    """(body, script) of what bertviz returned. `UserError` if it asks for more than the one address we know."""
    if len(REQUIRE.findall(made)) != 1 or made.count("<script src") != 1:
        raise UserError("This bertviz loads other things than 1.4.1 does: install the version in requirements.txt.")
    made = REQUIRE.sub("", made)
    for sign, aside in HIDDEN.items():
        made = made.replace(json.dumps(aside)[1:-1], f"\\u{ord(sign):04x}")
    made = re.sub(r"bertviz-[0-9a-f]{32}", "bertviz", made)  # a random name would change the bytes each time
    body, script = SCRIPT.sub("", made), "\n;\n".join(SCRIPT.findall(made))
    return body, re.sub(r"https?://cdnjs[^'\"]*", "", script)  # the addresses that nobody asks any more


def libraries():
    """d3 and jQuery as their packages bring them, and two lines in place of require.js."""
    files = (("mpld3", "js/d3.v5.min.js"), ("xstatic.pkg.jquery", "data/jquery.slim.min.js"))
    try:
        texts = [(resources.files(package) / path).read_text("utf-8") for package, path in files]
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UserError(f"bertviz's views need d3 and jQuery ({error}): run `python course.py setup`.") from None
    return "\n;\n".join([*texts, LIBRARY.format()]) + "\n;\n"
