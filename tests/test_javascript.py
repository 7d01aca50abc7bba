"""The pages' JavaScript keeps to what the Python keeps to: short functions, and lines that fit."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import sdlab
from sdlab.widgets import Compare, Inside, Judge, Predict, SeedGrid, WatermarkInspector
from sdlab.widgets.sweep_form.page import FormPage

PACKAGE = Path(sdlab.__file__).parent
PAGES = (PACKAGE / "widgets", PACKAGE / "results" / "gallery")
SCRIPTS = sorted(PACKAGE.rglob("*.js"))
STYLES = sorted(path for folder in PAGES for path in folder.rglob("*.css"))
LINES, COLUMNS = 40, 100
NO_CODE = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"')  # comments, and strings on one line
BLOCK = re.compile(r"\b(if|for|while|switch|catch)\s*$")  # what else has a head in parentheses


def measure_functions(script: str) -> Iterator[tuple[int, int]]:
    """Yield first line and number of lines of each function, method and arrow function."""
    code = NO_CODE.sub("", script)
    opened: list[int] = []
    partners: dict[int, int] = {}  # place of a closing bracket -> of the one it closes
    for at, sign in enumerate(code):
        if sign in "([{":
            opened.append(at)
        elif sign in ")]}":
            start = partners[at] = opened.pop()
            before = code[:start].rstrip()
            head = before.removesuffix("=>").rstrip()
            if head.endswith(")"):
                start = partners[len(head) - 1]
            is_block = BLOCK.search(code[:start]) or not (head != before or head.endswith(")"))
            if sign == "}" and not is_block:
                yield code.count("\n", 0, start) + 1, code.count("\n", start, at) + 1
    assert not opened, "the brackets do not match: measure_functions misreads this script"


def list_declared(script: str) -> Iterator[str]:
    """Yield the names that are declared at the top of a module."""
    code = NO_CODE.sub('""', script)
    yield from re.findall(r"^(?:export )?(?:async )?(?:function\*?|class) (\w+)", code, re.M)
    for found in re.finditer(r"^(?:export )?(?:const|let) ", code, re.M):
        depth, flat = 0, ""
        for sign in code[found.end() :]:
            depth += (sign in "([{") - (sign in ")]}")
            if sign == ";" and not depth:
                break
            flat += sign if not depth else ""
        yield from re.findall(r"(?:^|,)\s*(\w+)\s*=(?!=)", flat)


def find_twice_declared(script: str) -> list[str]:
    """Find the names that are declared twice in a module, which no browser takes."""
    return [name for name, count in Counter(list_declared(script)).items() if count > 1]


@pytest.mark.parametrize(
    "widget", [Compare, FormPage, Inside, Judge, Predict, SeedGrid, WatermarkInspector]
)
def test_no_name_of_a_page_is_declared_twice(widget):
    """Each page is several files in one module."""
    script = str(widget._esm)
    assert "function " in script and find_twice_declared(script) == []
    more = "\nconst A = [1, 2], describe = 1, B = (a, b) => { const c = 1, C = 2; };\nfunction C() {}\n"
    assert find_twice_declared(script + more) == ["describe"]


def find_long_functions(script: str) -> list[tuple[int, int]]:
    return [(first, lines) for first, lines in measure_functions(script) if lines > LINES]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_function_of_a_page_is_longer_than_40_lines(path):
    assert find_long_functions(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "head",
    [
        "function long(a) {",
        "export async function long({ a, b }, c = () => {}) {",
        "const long = async (a) => {",
        "const long = a => {",
        'class A {\n  long(a, b = "{") {  // (',
        "list.forEach(({ i }, k) => {",
        "class A {\n  constructor(\n    a) {",
    ],
)
def test_a_function_of_41_lines_is_found_and_one_of_40_is_not(head):
    def write(lines):
        body = ["  if (a) { b(`${c}`); }"] * (lines - 2 - head.count("(\n"))
        return "\n".join([head, *body, "}"])

    end = ")" if head.startswith("list") else "\n}" if head.startswith("class") else ""
    assert [lines for _, lines in find_long_functions(write(LINES + 1) + end)] == [LINES + 1]
    assert find_long_functions(write(LINES) + end) == []
    assert find_long_functions("if (a) {\n" + "\n" * LINES + "}") == []


@pytest.mark.parametrize("path", SCRIPTS + STYLES, ids=lambda path: path.name)
def test_the_lines_of_a_page_fit_into_100_columns(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [n for n, line in enumerate(lines, 1) if len(line) > COLUMNS] == []
