"""The preflight as a lesson shows it: what is wrong with its remedy, everything else folded away."""
from html import escape
from pathlib import Path

from electra_tutorial.course.doctor import REPOSITORY, examine

WORDS = {"ok": "ok", "note": "worth knowing", "fix": "to be mended"}
EDGES = {"ok": "#007A5A", "note": "#595959", "fix": "#D55E00"}  # never the only sign: the words stand beside it
INK = "background-color:#ffffff;color:#111111;"


class Preflight:
    """The findings of `doctor.examine` as HTML for a notebook and as text for a terminal."""

    def __init__(self, findings):
        self.findings = [{key: without_places(text) for key, text in one.items()} for one in findings]
        self.ready = all(one["state"] != "fix" for one in findings)

    @property
    def headline(self):
        told = [one for one in self.findings if one["remedy"]]
        mend = sum(one["state"] == "fix" for one in told)
        if mend:
            return f"Not ready: {mend} of {len(self.findings)} checks found something to mend."
        more = f" {len(told)} thing{'s' * (len(told) != 1)} worth knowing." if told else ""
        return f"Ready: {len(self.findings)} checks, nothing to mend.{more}"

    def _repr_html_(self):
        told = "".join(open_line(one) for one in self.findings if one["remedy"])
        well = "".join(folded_line(one) for one in self.findings if not one["remedy"])
        edge = EDGES["ok" if self.ready else "fix"]
        return (f'<div dir="ltr" style="{INK}border:1px solid #c4c4c4;border-left:6px solid {edge};padding:8px 10px;'
                f'font-size:14px;line-height:20px;text-align:left"><b>{escape(self.headline)}</b>{told}'
                f'<details style="margin:6px 0 0 0;{INK}"><summary style="color:#111111">What is as it should be'
                f"</summary>{well}</details></div>")

    def __repr__(self):
        lines = [f"{WORDS[one['state']]}: {one['name']}: {one['found']} {one['remedy']}".rstrip()
                 for one in self.findings if one["remedy"]]
        return "\n".join([self.headline, *lines])


def preflight():
    """Look at this machine and this installation: a `Preflight`. Asks the network nothing."""
    return Preflight(examine())


def without_places(text):
    """A finding without where things lie on this machine: lessons are shown to others."""
    return text.replace(str(REPOSITORY), "the course's folder").replace(str(Path.home()), "~")


def open_line(one):
    """Something wrong, and what to do about it."""
    return (f'<div style="margin:8px 0 0 0;padding:0 0 0 8px;border-left:4px solid {EDGES[one["state"]]};{INK}">'
            f'<b>{escape(one["name"])}</b> ({WORDS[one["state"]]}): {escape(one["found"])}<br>'
            f'What to do: {escape(one["remedy"])}</div>')


def folded_line(one):
    return f'<div style="{INK}"><b>{escape(one["name"])}</b>: {escape(one["found"])}</div>'
