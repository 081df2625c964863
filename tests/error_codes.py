"""Every error code that the source can answer with, found by reading it.

A code is an argument of the three classes that carry one. Where it is a variable, its values are those
assigned to it in the function, its default, and what the function's callers pass.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Which argument is the code.
_PLACE = {"ServiceError": 1, "ImageError": 0, "Failed": 0}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Raised:
    """One place in the source that makes an error.

    Attributes:
        kind: name of the class.
        codes: what its code can be; empty where it is handed on from another error.
        status: HTTP status, where it is written out.
    """

    kind: str
    codes: frozenset[str]
    status: int | None


@dataclass(frozen=True)
class _Call:
    node: ast.Call
    module: Path
    function: _Function | None


def raised(*packages: Path) -> list[Raised]:
    """Every making of an error in the packages."""
    calls = [call for package in packages for path in sorted(package.rglob("*.py")) for call in _calls(path)]
    found = []
    for call in calls:
        kind = _kind(call.node)
        if kind is None or len(call.node.args) <= _PLACE[kind]:
            continue
        first = call.node.args[0]
        status = first.value if isinstance(first, ast.Constant) and isinstance(first.value, int) else None
        codes = _strings(call.node.args[_PLACE[kind]], call, calls)
        found.append(Raised(kind, frozenset(codes), status))
    return found


def _calls(path: Path) -> Iterator[_Call]:
    def visit(node: ast.AST, function: _Function | None) -> Iterator[_Call]:
        if isinstance(node, _Function):
            function = node
        if isinstance(node, ast.Call):
            yield _Call(node, path, function)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    return visit(ast.parse(path.read_text()), None)


def _kind(call: ast.Call) -> str | None:
    name = _name(call)
    if name == "__init__" and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
        # A subclass fills in its base.
        return "ServiceError"
    return name if name in _PLACE else None


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _strings(node: ast.expr, call: _Call, calls: list[_Call]) -> set[str]:
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.JoinedStr):
        results = {""}
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            results = {head + tail for head in results for tail in _strings(inner, call, calls)}
        return results
    if isinstance(node, ast.Name) and call.function is not None:
        return _values(node.id, call, call.function, calls)
    return set()


def _values(name: str, call: _Call, function: _Function, calls: list[_Call]) -> set[str]:
    values = {
        constant.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    parameters = [argument.arg for argument in function.args.args]
    if name not in parameters:
        return values
    defaults = dict(zip(reversed(parameters), reversed(function.args.defaults), strict=False))
    if name in defaults:
        values |= _strings(defaults[name], call, calls)
    place = parameters.index(name) - (parameters[0] == "self")
    for caller in calls:
        private_elsewhere = function.name.startswith("_") and caller.module != call.module
        if _name(caller.node) != function.name or private_elsewhere or caller.function is function:
            continue
        given = [keyword.value for keyword in caller.node.keywords if keyword.arg == name]
        for argument in given or caller.node.args[place : place + 1]:
            values |= _strings(argument, caller, calls)
    return values
