"""What a linter cannot say about style, counted.

Each rule is a function that yields the offences of one file, and a test runs each rule over every
file. OFFENDERS lists what broke a rule before the rule came. It may only shrink: a new offence
fails, and so does an entry that no longer offends. At the end, each rule proves itself on a sample.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
ARGUMENTS_MAX = 6
NESTING_MAX = 3

# "rule: path: offence", as the failing test prints it.
OFFENDERS: frozenset[str] = frozenset()

# Where optional drivers are chosen, so where they are loaded.
MAY_IMPORT_LATE = {"src/stepwell/wiring.py"}

# Type checkers must see the names that PEP 562 loads on first use.
MAY_USE_TYPE_CHECKING = {"src/stepwell/__init__.py"}

# Each with the reason why something may catch everything there and go on.
MAY_CATCH_EVERYTHING: dict[str, str] = {
    "src/stepwell/engine/attempts.py": "an attempt fails with whatever its callable raises",
    "src/stepwell/engine/callbacks.py": "it passes on to a coroutine what is thrown into it",
    "src/stepwell/engine/rollback.py": "a handler fails with whatever it raises",
    "src/stepwell/engine/run.py": "an instance fails with whatever its run raises",
    "tests/engine/test_busy_worker.py": "it shows what becomes of code that catches everything",
}

# Each with the reason why SQL stands in Python there.
MAY_WRITE_SQL: dict[str, str] = {}

# The contract of these is documented in ports/store.py, once.
DOCUMENTED_BY_CONTRACT = "src/stepwell/stores/"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One parsed file."""

    path: str
    text: str
    tree: ast.Module
    functions: tuple[tuple[str, Function], ...]

    @property
    def is_ours(self) -> bool:
        """Whether it belongs to the package that users install."""
        return self.path.startswith("src/")

    @property
    def is_test(self) -> bool:
        """Whether pytest collects it."""
        return self.path.startswith("tests/") and Path(self.path).name.startswith("test_")

    def comments(self) -> Iterator[tuple[int, str]]:
        """Yield the line and the text of each comment."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def source_of(path: str, text: str) -> Source:
    """Parse one file."""
    tree = ast.parse(text, path)
    return Source(path=path, text=text, tree=tree, functions=tuple(named_functions(tree)))


def named_functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function below `node` with its dotted name, inner ones too."""
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, Function | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if isinstance(child, Function):
                yield name, child
            name += "."
        yield from named_functions(child, name)


# Rules: each yields what offends, as "name" or "name: how".


def file_is_short(source: Source) -> Iterator[str]:
    """A file has at most FILE_LINES_MAX lines."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"file: {lines} lines"


def function_is_short(source: Source) -> Iterator[str]:
    """A function has at most FUNCTION_LINES_MAX lines, not counting docstrings and decorators."""
    for name, function in source.functions:
        inner = [node for node in ast.walk(function) if isinstance(node, Function)]
        docstrings = [node.body[0] for node in inner if ast.get_docstring(node)]
        lines = line_count(function) - sum(map(line_count, docstrings))
        if lines > FUNCTION_LINES_MAX:
            yield f"{name}: {lines} lines"


def line_count(node: ast.stmt) -> int:
    """Count the lines of a statement, decorators apart."""
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def function_has_few_arguments(source: Source) -> Iterator[str]:
    """A function has at most ARGUMENTS_MAX arguments.

    Not counted: self, and in public functions the keyword-only ones with a default, which are
    options that a caller may never meet.
    """
    for name, function in source.functions:
        arguments = function.args
        count = len([*arguments.posonlyargs, *arguments.args])
        count -= bool(arguments.posonlyargs + arguments.args) and is_method(function)
        is_public = not any(part.startswith("_") and part != "__init__" for part in name.split("."))
        count += sum(default is None or not is_public for default in arguments.kw_defaults)
        if count > ARGUMENTS_MAX:
            yield f"{name}: {count} arguments"


def is_method(function: Function) -> bool:
    """Tell whether the first argument is the object or the class."""
    positional = [*function.args.posonlyargs, *function.args.args]
    return bool(positional) and positional[0].arg in {"self", "cls"}


def nesting_is_shallow(source: Source) -> Iterator[str]:
    """Blocks stand at most NESTING_MAX deep in each other.

    What branches, repeats or catches is a block. `elif`, `else`, `except` and `case` stand at the
    depth of what they belong to; `with` does not count, since nothing happens but its body; an
    inner function starts at zero.
    """
    for name, function in source.functions:
        depth = max(map(depth_of, function.body), default=0)
        if depth > NESTING_MAX:
            yield f"{name}: {depth} deep"


BLOCKS = ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.TryStar | ast.Match


def depth_of(node: ast.AST) -> int:
    """Count the blocks around the innermost statement of `node`."""
    if isinstance(node, Function | ast.ClassDef | ast.Lambda):
        return 0
    if isinstance(node, ast.If):
        # An `elif` is an If alone in the `orelse` of another, on the same column.
        alternative = node.orelse
        is_elif = (
            len(alternative) == 1
            and isinstance(alternative[0], ast.If)
            and alternative[0].col_offset == node.col_offset
        )
        beside = depth_of(alternative[0]) if is_elif else 0
        inside = node.body if is_elif else [*node.body, *alternative]
        return max(beside, 1 + max(map(depth_of, inside), default=0))
    deepest = max(map(depth_of, ast.iter_child_nodes(node)), default=0)
    return deepest + isinstance(node, BLOCKS)


def imports_stand_on_top(source: Source) -> Iterator[str]:
    """No import stands inside a function, so a file's head tells everything that it needs."""
    if source.path in MAY_IMPORT_LATE:
        return
    for name, function in source.functions:
        for node in own_nodes(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{name}: {ast.unparse(node)}"


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of its inner functions."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting.extend(ast.iter_child_nodes(node))


def types_are_imported_plainly(source: Source) -> Iterator[str]:
    """No import is for type checkers alone: a circle means that a type lies in the wrong layer."""
    if source.path in MAY_USE_TYPE_CHECKING:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute | ast.alias):
            name = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}[type(node)]
            if getattr(node, name) == "TYPE_CHECKING":
                yield f"line {node.lineno}"


def nothing_swallows_everything(source: Source) -> Iterator[str]:
    """What catches BaseException tidies up and raises it on, or MAY_CATCH_EVERYTHING says why."""
    if source.path in MAY_CATCH_EVERYTHING:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "BaseException"
            last = node.body[-1]
            is_raised_again = isinstance(last, ast.Raise) and last.exc is None
            if re.search(r"\bBaseException\b", caught) and not is_raised_again:
                yield f"line {node.lineno}"


def to_do_has_an_issue(source: Source) -> Iterator[str]:
    """A note of what is left to do names the issue that keeps it: TODO(#12)."""
    for line, comment in source.comments():
        for note in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b(\(#\d+\))?", comment):
            if not (note[1] == "TODO" and note[2]):
                yield f"line {line}: {comment}"


def module_has_a_docstring(source: Source) -> Iterator[str]:
    """A module says in its first sentence what its role is."""
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield "module"


def public_names_have_docstrings(source: Source) -> Iterator[str]:
    """What the package offers is described where it is defined."""
    if source.is_ours:
        is_documented_elsewhere = source.path.startswith(DOCUMENTED_BY_CONTRACT)
        yield from undocumented(source.tree, methods=not is_documented_elsewhere)


def undocumented(
    node: ast.Module | ast.ClassDef, *, methods: bool, prefix: str = ""
) -> Iterator[str]:
    """Yield the public classes, functions and methods below `node` that have no docstring."""
    for child in node.body:
        if not isinstance(child, Function | ast.ClassDef) or child.name.startswith("_"):
            continue
        name = f"{prefix}{child.name}"
        if not (ast.get_docstring(child) or is_described_elsewhere(child)):
            yield name
        if isinstance(child, ast.ClassDef) and methods:
            yield from undocumented(child, methods=True, prefix=f"{name}.")


def is_described_elsewhere(node: Function | ast.ClassDef) -> bool:
    """Tell whether it is one form of, or stands in for, what has its own docstring."""
    decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return bool(decorators & {"overload", "override", "setter"})


def promise_is_checked(source: Source) -> Iterator[str]:
    """A test's docstring is its promise, and the test checks it."""
    if not source.is_test:
        return
    for name, function in source.functions:
        parts = name.split(".")
        is_test = parts[-1].startswith("test_") and all(
            part.startswith("Test") for part in parts[:-1]
        )
        if is_test and not ast.get_docstring(function):
            yield f"{name}: no docstring"
        # A property may be that nothing is raised, whatever comes in.
        is_property = any("given(" in ast.unparse(node) for node in function.decorator_list)
        if is_test and not is_property and not any(map(asserts, ast.walk(function))):
            yield f"{name}: asserts nothing"


def asserts(node: ast.AST) -> bool:
    """Tell whether it can fail a test: `assert`, pytest's own, or a helper named for that."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        return bool(
            re.match(r"pytest\.(raises|warns|fail)$", called)
            or re.match(r"_?(assert|check|exercise|expect|must)_", called.split(".")[-1])
            or called.split(".")[-1] in {"run_state_machine_as_test", "run_store_case"}
        )
    return isinstance(node, ast.Assert)


SQL = re.compile(
    r"\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|REPLACE)\s"
    r"|(?i:select\s.*\sfrom\s|(?:insert|replace)\s(?:or\s\w+\s)?into\s|update\s\w+\sset\s|delete\sfrom\s"
    r"|(?:create|alter|drop)\s(?:table|index|view|trigger|virtual|unique|temp)\b))",
    re.DOTALL,
)


def sql_lives_in_sql_files(source: Source) -> Iterator[str]:
    """The package keeps SQL in .sql files under names, so it can be read, and compared, as SQL."""
    if not source.is_ours or source.path in MAY_WRITE_SQL:
        return
    docstrings = set(map(id, bare_strings(source.tree)))
    for node in ast.walk(source.tree):
        text = text_of(node)
        if id(node) not in docstrings and SQL.match(text):
            yield f"line {node.lineno}: {' '.join(text.split())[:40]}"


def text_of(node: ast.AST) -> str:
    """Give the text of a string, a word standing for what an f-string fills in; else nothing."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "filled" for part in node.values)
    is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_string else ""


def bare_strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the strings that are statements: docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


SILENCER = re.compile(r"#\s*(type:\s*ignore|pyright:\s*ignore|(?:ruff:\s*)?noqa)\b", re.IGNORECASE)
SILENCER_WITH_CODE = re.compile(
    r"""\#\s*(?:
        (?:type|pyright):\s*ignore\[[\w-]+(?:,\s*[\w-]+)*\]     # codes in brackets
      | (?:ruff:\s*)?noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*        # codes after the colon
    )(?P<reason>(?:\s+[\#(-]|:)\s*\w\S*\s+\w.*)?""",
    re.VERBOSE,
)


def silence_has_code_and_reason(source: Source) -> Iterator[str]:
    """A comment that silences a tool says which rule, and why; in a test, the test says why.

    As in "noqa: BLE001 - the user's code may raise anything", or "type: ignore[misc]  # their bug".
    """
    for line, comment in source.comments():
        # One comment may silence two tools, and then gives two reasons.
        for silencer in SILENCER.finditer(comment):
            coded = SILENCER_WITH_CODE.match(comment, silencer.start())
            if not coded or not (coded["reason"] or source.path.startswith("tests/")):
                yield f"line {line}: {comment}"


RULES = {
    rule.__name__: rule
    for rule in (
        file_is_short,
        function_is_short,
        function_has_few_arguments,
        nesting_is_shallow,
        imports_stand_on_top,
        types_are_imported_plainly,
        nothing_swallows_everything,
        to_do_has_an_issue,
        module_has_a_docstring,
        public_names_have_docstrings,
        sql_lives_in_sql_files,
        silence_has_code_and_reason,
        promise_is_checked,
    )
}


@cache
def sources() -> tuple[Source, ...]:
    """Parse every Python file of the project, once."""
    folders = ("src", "tests", "examples", "benchmarks", "scripts")
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    named = [(path.relative_to(ROOT).as_posix(), path) for path in paths]
    return tuple(source_of(name, path.read_text(encoding="utf-8")) for name, path in named)


def offences_of(rule: str) -> set[str]:
    """Name everything that breaks a rule, in the form of OFFENDERS."""
    found = {(source.path, offence) for source in sources() for offence in RULES[rule](source)}
    return {f"{rule}: {path}: {offence}" for path, offence in found}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    """No file breaks the rule, apart from the known offenders."""
    offences = offences_of(rule) - OFFENDERS

    assert not offences, "\n".join([RULES[rule].__doc__ or "", *sorted(offences)])


def test_known_offenders_still_offend():
    """An offender that was put right leaves the list, so the list only shrinks."""
    offences = {offence for rule in RULES for offence in offences_of(rule)}

    assert set() == OFFENDERS - offences


def test_exceptions_exist():
    """A file that is allowed something is there; else the permission waits for a namesake."""
    allowed = MAY_CATCH_EVERYTHING.keys() | MAY_WRITE_SQL.keys()

    assert set() == allowed - {source.path for source in sources()}


def function_of(lines: int) -> str:
    """Write a function of so many lines."""
    return "def f():\n" + "    pass\n" * (lines - 1)


def with_body(*lines: str) -> str:
    """Write a function with these lines, each one level deeper than the one before."""
    body = [" " * 4 * (level + 1) + line for level, line in enumerate(lines)]
    return "\n".join(["def f():", *body])


# For each rule: what it lets pass, and what it finds.
SAMPLES = [
    ("file_is_short", "x = 1\n" * 500, "x = 1\n" * 501),
    ("function_is_short", function_of(60), function_of(61)),
    (
        "function_has_few_arguments",
        "def f(a, b, c, d, e, g): ...",
        "def f(a, b, c, d, e, g, h): ...",
    ),
    (
        "function_has_few_arguments",
        "def f(a, *, b=1, c=1, d=1, e=1, g=1, h=1): ...",
        "def _f(a, *, b=1, c=1, d=1, e=1, g=1, h=1): ...",
    ),
    (
        "nesting_is_shallow",
        with_body("if a:", "for b in c:", "with d:", "while e:", "pass"),
        with_body("if a:", "for b in c:", "try:", "while e:", "pass")
        + "\n            finally:\n                pass",
    ),
    (
        "nesting_is_shallow",
        "def f():\n if a: pass\n elif b: pass\n elif c: pass\n elif d: pass",
        "def f():\n if a: pass\n else:\n  if b: pass\n  else:\n   for c in d:\n    if e: pass",
    ),
    ("imports_stand_on_top", "import a\ndef f(): ...", "def f():\n import a"),
    ("types_are_imported_plainly", "import typing", "from typing import TYPE_CHECKING"),
    (
        "nothing_swallows_everything",
        "try: pass\nexcept Exception: pass",
        "try: pass\nexcept: pass",
    ),
    (
        "nothing_swallows_everything",
        "try: pass\nexcept BaseException:\n undo()\n raise",
        "try: pass\nexcept (ValueError, BaseException): pass",
    ),
    ("to_do_has_an_issue", "# TODO(#12): more", "# TODO: more"),
    ("module_has_a_docstring", '"""Says it."""', "x = 1"),
    ("public_names_have_docstrings", 'class _A: ...\ndef f():\n "doc"', "def f(): ..."),
    (
        "public_names_have_docstrings",
        'class A:\n "doc"\n def _g(self): ...',
        'class A:\n "doc"\n def g(self): ...',
    ),
    ("sql_lives_in_sql_files", '"Create an order from it"', 'x = "SELECT 1"'),
    ("sql_lives_in_sql_files", '"update the row"', 'x = f"update {table} set a = 1"'),
    ("silence_has_code_and_reason", "x  # noqa: E501 - a long link", "x  # noqa: E501"),
    (
        "silence_has_code_and_reason",
        "x  # noqa: E501  (Ann's long, old link)",
        "x  # noqa: E501  (long)",
    ),
    (
        "silence_has_code_and_reason",
        "x  # type: ignore[attr-defined]  # set by the plugin",
        "x  # type: ignore  # set by the plugin",
    ),
    ("promise_is_checked", 'def test_a():\n "doc"\n assert a', "def test_a():\n assert a"),
    (
        "promise_is_checked",
        'def test_a():\n "doc"\n with pytest.raises(E): a()',
        'def test_a():\n "doc"\n a()',
    ),
]


@pytest.mark.parametrize(("rule", "good", "bad"), SAMPLES)
def test_rule_tells_good_from_bad(rule, good, bad):
    """Each rule lets the good sample pass and finds the bad one."""
    path = "tests/test_sample.py" if rule == "promise_is_checked" else "src/sample.py"

    assert [] == list(RULES[rule](source_of(path, good)))
    assert [] != list(RULES[rule](source_of(path, bad)))


def test_every_rule_has_a_sample():
    """A rule that finds nothing because it is broken does not go unnoticed."""
    assert set(RULES) == {rule for rule, _, _ in SAMPLES}
