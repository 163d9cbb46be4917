"""A student's function as text that stands by itself: its own source, the imports and the names it needs."""
import ast
import builtins
import inspect
import linecache
import symtable
import sys
import textwrap
from types import FunctionType, ModuleType

from electra_tutorial.course.definitions import Import, free_names, import_lines
from electra_tutorial.errors import UserError

# Where functions written in C may be found: many do not say where they come from.
HOMES = ("torch", "torch.nn.functional", "numpy", "math")


def standalone(name, function):
    """Source that defines `name` anywhere as the notebook does. Raises UserError, saying why there is none."""
    home, imports, parts, seen, todo = function.__module__, [], [], {name}, [(name, function)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, FunctionType) and value.__module__ == home:
            text = source_of(name, value)
            needed = sorted(needs(text) & value.__globals__.keys() - seen)
            todo += [(other, value.__globals__[other]) for other in needed]
            seen.update(needed)
            parts.insert(0, text)  # what it needs comes to stand above it
        elif found := importing(name, value):
            imports.append(found)
        else:
            parts.insert(0, f"{name} = {literal(name, value)}")
    return "\n\n\n".join(filter(None, [import_lines(imports), *parts]))


def source_of(name, function):
    """The statement that defines a function. Raises UserError if there is none to be found."""
    try:
        text = textwrap.dedent(inspect.getsource(function)).rstrip()
        (node,) = ast.parse(text).body
    except (OSError, TypeError, SyntaxError, ValueError):
        node = None
    targets = [ast.unparse(target) for target in getattr(node, "targets", [])]
    if getattr(node, "name", None) != name and name not in targets:
        raise UserError(f"the source of `{name}` was not found: write it in its cell with `def {name}(...)`")
    return text


def times_defined(name, function):
    """How often the cell that a function comes from defines that name."""
    try:
        body = ast.parse("".join(linecache.getlines(function.__code__.co_filename))).body
    except (AttributeError, SyntaxError):
        return 0
    return sum(isinstance(node, ast.FunctionDef) and node.name == name for node in body)


def needs(text):
    """The names that a piece of source finds outside itself, Python's own left out."""
    used = free_names(symtable.symtable(text, "cell", "exec"))
    return {name for name in used if not hasattr(builtins, name)}


def importing(name, value):
    """The `Import` that gives this value under this name; None if it comes from no module."""
    if isinstance(value, ModuleType):
        return Import(value.__name__, None, name)
    own = getattr(value, "__name__", name)
    for home in (getattr(value, "__module__", None), *HOMES):
        if home not in (None, "__main__") and getattr(sys.modules.get(home), own, None) is value:
            return Import(home, own, name)
    return None


def literal(name, value):
    """A plain value as Python writes it. Raises UserError for one that cannot be written."""
    try:
        if ast.literal_eval(repr(value)) == value:
            return repr(value)
    except (ValueError, SyntaxError):
        pass
    raise UserError(f"it uses `{name}` ({type(value).__name__}) of your notebook: make that inside the function")
