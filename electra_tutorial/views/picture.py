"""A drawn figure that carries what it shows in words, so that nobody needs to see it.

Every drawn view returns a `Picture`. A notebook shows it as an image with alt text, and goes on showing it
when the notebook is untrusted, exported or reopened without a kernel. Figures are made without pyplot: none
stays behind in a global list, and one made in another thread does no harm.
"""
import base64
import html
import io

from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from PIL import Image  # comes with matplotlib

# Fonts with Chinese characters that Linux, Windows and macOS bring or can have.
CHINESE_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "PingFang HK",
    "Hiragino Sans GB", "Heiti TC", "Arial Unicode MS",
)
# matplotlib takes each character from the first font that has it, and grumbles about each font that is not there.
FONTS = ["DejaVu Sans", *[name for name in CHINESE_FONTS if name in {font.name for font in fontManager.ttflist}][:1]]
# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#007A5A", "#9A4A78", "#595959"
# A sheet of white paper on a page of any colour: no ink keeps a contrast of 4.5 on white and on JupyterLab's #111111.
PAPER = "background-color:#ffffff;border:1px solid #c4c4c4;border-radius:6px;padding:6px;box-sizing:border-box"
PIXELS_AN_INCH = 144  # sharp on dense screens; shown at two thirds of it


class Picture:
    """A matplotlib `figure` and its `alt` text. In a notebook it shows itself; `save` writes a file."""

    def __init__(self, figure, alt):
        self.figure, self.alt = figure, alt

    def png(self):
        """The image as bytes, the same for the same data; 256 colours, for a third of the size in a notebook."""
        full, small = io.BytesIO(), io.BytesIO()
        self.figure.savefig(full, format="png", dpi=PIXELS_AN_INCH)
        Image.open(full).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
        return small.getvalue()

    def save(self, path):
        """Write the image in the format of the name's ending (.png, .svg, .pdf); returns the path."""
        self.figure.savefig(path, dpi=PIXELS_AN_INCH)
        return path

    def _repr_html_(self):
        data = base64.b64encode(self.png()).decode()
        width = round(self.figure.get_figwidth() * 96) + 14  # the picture and the edge of its sheet
        return (f'<img src="data:image/png;base64,{data}" alt="{html.escape(self.alt)}" width="{width}" '
                f'style="max-width:100%;height:auto;{PAPER}">')

    def __repr__(self):
        return f"Picture: {self.alt}"


def new_figure(width, height, **layout):
    """An empty white figure, in inches, that belongs to no pyplot list."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white", **layout)
