"""Definitions of the package as text: what the weaver puts into lessons, and the imports they need there.

Modules are parsed, never imported: weaving needs no PyTorch.
"""
import ast
import builtins
import re
import symtable
import sys
import textwrap
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from electra_tutorial.errors import UserError

DIVIDER = re.compile("# ?[-=]{2,}")  # a comment that heads a section of a module belongs to no definition
WIDTH = 110  # of a line of code, as in the rest of the repository
NEW_PLACE = "it was renamed or moved; name its new place in the lesson's source."


@dataclass(frozen=True)
class Import:
    """How a notebook gets one name: `import module as bind`, or `from module import name as bind`."""

    module: str
    name: str | None
    bind: str


@dataclass
class Module:
    """A module of the package as text; `where` names the lesson and line that asked, for the messages."""

    name: str
    text: str
    where: str

    @property
    def tree(self):
        return parsed(self.text)

    def find(self, name):
        """The top-level statement that defines a function or class. Raises UserError if there is none."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return node
        raise UserError(f"{self.where}: {self.name} defines no function or class {name!r}: {NEW_PLACE}")

    def source(self, name):
        """A definition as it is written: the comments above it, decorators, body."""
        node, lines = self.find(name), self.text.splitlines()
        start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        while start and lines[start - 1].startswith("#") and not DIVIDER.match(lines[start - 1]):
            start -= 1
        return "\n".join(lines[start:node.end_lineno])

    def stub(self, name):
        """A function without its answer: its signature and the first paragraph of its docstring."""
        node, lines = self.find(name), self.text.splitlines()
        signature = lines[node.lineno - 1:node.body[0].lineno - 1]
        said, _, more = ast.get_docstring(node).partition("\n\n")
        end = "\n" if "\n" in said else ""
        said = textwrap.indent(f'"""{said}{end}"""', "    ")
        return "\n".join([*signature, said, "    ...  # your code here"])

    def needs(self, name):
        """The names that a definition uses and neither binds itself nor finds among Python's own."""
        used = free_names(symtable.symtable(self.source(name), self.name, "exec"))
        return {other for other in used if other != name and not hasattr(builtins, other)}

    def importing(self, name):
        """The `Import` that gives a notebook a name this module knows. Raises UserError for another name."""
        for node in self.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    if name == (alias.asname or alias.name):
                        return self.as_import(node, alias)
        if name in names_bound(self.text):
            return Import(self.name, name, name)
        raise UserError(f"{self.where}: what is woven from {self.name} uses {name!r}, which is not defined "
                        "there: define or import it at the top level of that module.")

    def as_import(self, node, alias):
        """One name of one import statement of this module."""
        if isinstance(node, ast.Import):
            return Import(alias.name, None, alias.asname or alias.name)
        if node.level:
            raise UserError(f"{self.where}: {self.name} imports {alias.name!r} relatively, which a notebook "
                            "cannot: write its whole name there.")
        return Import(node.module, alias.name, alias.asname or alias.name)


@cache
def parsed(text):
    return ast.parse(text)


def read_module(name, where):
    """The `Module` of that name. Raises UserError if there is none."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.origin:
        raise UserError(f"{where}: there is no module {name}: {NEW_PLACE}")
    return Module(name, Path(spec.origin).read_text("utf-8"), where)


# --- names ----------------------------------------------------------------------------------------

def binds(symbol):
    """True for a symbol to which a text gives a value: by assigning, importing or defining."""
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def names_bound(code):
    """The names to which a piece of code gives a value at its top level."""
    symbols = symtable.symtable(code, "code", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if binds(symbol)}


def free_names(table):
    """The names used anywhere in a piece of source that must come from outside it."""
    top = table.get_type() == "module"
    names = {symbol.get_name() for symbol in table.get_symbols()
             if symbol.is_global() and symbol.is_referenced() and not (top and binds(symbol))}
    return names.union(*(free_names(child) for child in table.get_children()))


# --- import statements ----------------------------------------------------------------------------

def import_lines(imports):
    """Import statements as text, in the order a linter wants: by section, `import` before `from`, by name."""
    sections = {}
    for module, bind in sorted({(one.module, one.bind) for one in imports if one.name is None}):
        line = f"import {module}" + (f" as {bind}" if bind != module else "")
        sections.setdefault(section(module), []).append(line)
    for module in sorted({one.module for one in imports if one.name is not None}):
        names = {(one.name, one.bind) for one in imports if one.name is not None and one.module == module}
        sections.setdefault(section(module), []).append(from_line(module, sorted(names, key=name_order)))
    return "\n\n".join("\n".join(sections[number]) for number in sorted(sections))


def section(module):
    """0 for the standard library, 1 for other packages, 2 for this one."""
    top = module.split(".")[0]
    return 0 if top in sys.stdlib_module_names else 2 if top == "electra_tutorial" else 1


def name_order(names):
    """CONSTANTS, then Classes, then functions."""
    name = names[0]
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def from_line(module, names):
    names = [name if name == bind else f"{name} as {bind}" for name, bind in names]
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= WIDTH else f"from {module} import (\n    " + ",\n    ".join(names) + ",\n)"
