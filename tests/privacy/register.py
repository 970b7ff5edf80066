"""The register of tests that prove the policy: `python tests/privacy/register.py` writes it, a test compares it."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
REGISTER = TESTS.parent / "assisters_app" / "privacy" / "policies" / "tests.txt"


def marked() -> set[str]:
    """Return a line for each sentence that a test proves: the sentence's id, the test's file, the test's name."""
    found = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if "mark.promise" in text:
            tree = ast.parse(text)
            whole = {id_ for node in tree.body if isinstance(node, ast.Assign) for id_ in _ids([node.value])}
            for name, ids in _tests(tree.body):
                found |= {f"{id_} {path.relative_to(TESTS.parent)} {name}" for id_ in whole | ids}
    return found


def written() -> set[str]:
    """Return the lines of the register."""
    return set(filter(None, REGISTER.read_text().splitlines()))


def _tests(body: list[ast.stmt]) -> Iterator[tuple[str, set[str]]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, set(_ids(node.decorator_list))


def _ids(expressions: list[ast.expr]) -> Iterator[str]:
    """Yield the sentences that `pytest.mark.promise("4.2", …)` names anywhere in these expressions."""
    for expression in expressions:
        for node in ast.walk(expression):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
                yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def _order(line: str) -> tuple[list[str], str]:
    id_, _, rest = line.partition(" ")
    return [part.zfill(4) for part in id_.split(".")], rest


if __name__ == "__main__":
    REGISTER.write_text("\n".join(sorted(marked(), key=_order)) + "\n")
