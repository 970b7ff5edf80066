"""Each route as code to paste: with OpenAI's clients where they have a name for it, else with what is at hand.

python(operation, base, key) -> str       curl(…), node(…) likewise; `base` is the address in front of /v1
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assisters_app.openapi.operations import FORM, Operation

WIDE = 40  # characters of one argument before it is broken into lines


def curl(operation: Operation, base: str, key: str) -> str:
    """Return a command for a shell."""
    lines = [f"curl {base}{_path(operation)}"]
    if not operation.public:
        lines.append(f'-H "Authorization: Bearer {key}"')
    if _form(operation):
        lines += [f"-F {name}={'@' if name == 'file' else ''}{value}" for name, value in operation.tried.items()]
    elif operation.tried is not None:
        body = _JSON.write(operation.tried, "  ").replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    if _sound(operation):
        lines.append(f"--output {_sound(operation)}")
    return " \\\n  ".join(lines)


def python(operation: Operation, base: str, key: str) -> str:
    """Return a program for Python with the package `openai`, which brings `httpx`."""
    if operation.sdk:
        client = f'client = OpenAI(\n    base_url="{base}/v1",\n    api_key="{key}",\n)'
        begin = f"from openai import OpenAI\n\n{client}\n"
        given = [_in_python(one) for one in _path_examples(operation)]
        given += [f"{name}={_argument(operation, name, value)}" for name, value in (operation.tried or {}).items()]
        arguments = ", ".join(given) if len(given) < 2 else "\n    " + ",\n    ".join(given) + ",\n"  # noqa: PLR2004 (on one line)
        then = f'answer.write_to_file("{_sound(operation)}")' if _sound(operation) else "print(answer)"
        return f"{begin}answer = client.{operation.sdk}({arguments})\n{then}"
    headers = [] if operation.public else [f'headers={{"Authorization": "Bearer {key}"}}']
    body = [] if operation.tried is None else [f"json={_PYTHON.write(operation.tried, '    ')}"]
    arguments = "".join(f"\n    {one}," for one in (f'"{base}{_path(operation)}"', *headers, *body))
    call = f"answer = httpx.{operation.method.lower()}({arguments}\n)"
    return f"import httpx\n\n{call}\nprint(answer.json())"


def node(operation: Operation, base: str, key: str) -> str:
    """Return a module for Node with the package `openai`, or with nothing but Node."""
    if operation.sdk:
        client = f'const client = new OpenAI({{\n  baseURL: "{base}/v1",\n  apiKey: "{key}",\n}});'
        begin = f'import OpenAI from "openai";\n\n{client}\n'
        given = [json.dumps(one) for one in _path_examples(operation)]
        if operation.tried is not None:
            given.append(_NODE.write(operation.tried, ""))
        if _form(operation):
            begin = f'import {{ createReadStream }} from "node:fs";\n{begin}'
            given[-1] = given[-1].replace('file: "speech.wav"', 'file: createReadStream("speech.wav")')
        then = "console.log(answer);"
        if _sound(operation):
            begin = f'import {{ writeFile }} from "node:fs/promises";\n{begin}'
            then = f'await writeFile("{_sound(operation)}", Buffer.from(await answer.arrayBuffer()));'
        return f"{begin}const answer = await client.{operation.sdk}({', '.join(given)});\n{then}"
    head = {} if operation.public else {"Authorization": f"Bearer {key}"}
    lines = []
    if operation.tried is not None:
        lines.append(f'method: "{operation.method}"')
        head["Content-Type"] = "application/json"
    if head:
        lines.append(f"headers: {_NODE.write(head, '')}")
    if operation.tried is not None:
        lines.append(f"body: JSON.stringify({_NODE.write(operation.tried, '')})")
    more = ", {\n" + "".join(f"  {line.replace(chr(10), chr(10) + '  ')},\n" for line in lines) + "}" if lines else ""
    return f'const answer = await fetch("{base}{_path(operation)}"{more});\nconsole.log(await answer.json());'


def _form(operation: Operation) -> bool:
    return FORM in (operation.takes or {})


def _argument(operation: Operation, name: str, value: Any) -> str:  # noqa: ANN401 (any JSON)
    opened = _form(operation) and name == "file"
    return f'open("{value}", "rb")' if opened else _PYTHON.write(value, "    ")


def _sound(operation: Operation) -> str:
    """Return the name of a file for an answer that is sound, '' for any other."""
    kinds = [kind for answer in operation.answers for kind in answer.content]
    return f"speech.{operation.tried['response_format']}" if any(one.startswith("audio/") for one in kinds) else ""


def _path(operation: Operation) -> str:
    path = operation.path
    for parameter, example in zip(_in_path(operation), _path_examples(operation), strict=True):
        path = path.replace(f"{{{parameter}}}", example)
    return path


def _in_path(operation: Operation) -> list[str]:
    return [one.name for one in operation.parameters if one.where == "path"]


def _path_examples(operation: Operation) -> list[str]:
    return [one.schema["examples"][0] for one in operation.parameters if one.where == "path"]


def _in_json(value: Any) -> str:  # noqa: ANN401 (any JSON)
    return json.dumps(value, ensure_ascii=False)


def _in_python(value: Any) -> str:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_in_python(name)}: {_in_python(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_in_python, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _javascript_name(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _in_javascript(value: Any) -> str:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        inside = ", ".join(f"{_javascript_name(name)}: {_in_javascript(one)}" for name, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_in_javascript, value))}]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Writer:
    """How a language writes a value: on one line, a name in front of one, one level of indent, after the last of many."""

    line: Callable[[Any], str]
    name: Callable[[str], str]
    step: str
    last: str

    def write(self, value: Any, indent: str) -> str:  # noqa: ANN401 (any JSON)
        """Write a value on one line, or, where that is too long, each of its parts on a line of its own."""
        line = self.line(value)
        if len(line) <= WIDE or not isinstance(value, dict | list):
            return line
        deeper = indent + self.step
        if isinstance(value, dict):
            parts = [f"{self.name(name)}: {self.write(one, deeper)}" for name, one in value.items()]
        else:
            parts = [self.write(one, deeper) for one in value]
        opened, closed = "{}" if isinstance(value, dict) else "[]"
        inside = ",".join(f"\n{deeper}{part}" for part in parts)
        return f"{opened}{inside}{self.last}\n{indent}{closed}"


_PYTHON = _Writer(_in_python, _in_python, "    ", ",")
_NODE = _Writer(_in_javascript, _javascript_name, "  ", ",")
_JSON = _Writer(_in_json, _in_json, "  ", "")
