"""Read a TOML file into a pydantic model, and say every problem in one plain sentence with file, line and key."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from data.nearest import LIKENESS, did_you_mean, nearest

Model = TypeVar("Model", bound=BaseModel)
Key = tuple[str | int, ...]

_MANY = 12  # more known keys than this are not listed


class FileError(ValueError):
    """A file that cannot be read as what it should be; the sentence names file, key and remedy."""


def read_toml(path: Path, model: type[Model]) -> Model:
    """Read and check a TOML file.

    Raises
    ------
    FileError
        The file cannot be read, is not TOML, or does not fit the model; one line a problem.
    """
    try:
        return model.model_validate(read_table(path))
    except ValidationError as error:
        raise FileError(explain(path, error, model=model)) from None


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file as it is; raises FileError when it cannot be read or is not TOML."""
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise FileError(_syntax(path, str(error))) from None
    except RecursionError:
        raise FileError(f"{path}: this is not TOML: brackets stand in brackets without end; close them") from None


def explain(
    path: Path,
    error: ValidationError,
    *,
    model: type[BaseModel] | None = None,
    prefix: str = "",
    text: str | None = None,
    stands: Callable[[Key], Key] = lambda key: key,
) -> str:
    """The problems that pydantic found, one sentence a line.

    Parameters
    ----------
    model : the model that was validated; with it a misspelt key is told the nearest known one.
    prefix : dotted key of the table that was validated, where it is not the whole file.
    text : the file's text, for line numbers; read from ``path`` when left out.
    stands : where the file states what the validated table has at a key, for tables that are made of several.
    """
    if text is None:
        text = path.read_text("utf-8-sig", errors="replace") if path.is_file() else ""
    above: Key = tuple(prefix.split(".")) if prefix else ()
    problems = error.errors(include_url=False)
    meant = dict(_meant(problems, model))
    lines = []
    for problem in problems:
        key: Key = problem["loc"]
        if problem["type"] == "missing" and key in meant.values():
            continue  # the misspelt key beside it says the same
        shown = stands((*above, *key))
        line = _line_of(text, shown)
        where = f"{path}:{line}" if line else f"{path}"
        lines.append(f"{where}: {_sentence(problem, shown, key, model, meant)}")
    return "\n".join(lines)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file; check the path") from None
    except UnicodeDecodeError:
        raise FileError(f"{path}: the file is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise FileError(f"{path}: the file cannot be read: {error.strerror or error}") from None


def _syntax(path: Path, message: str) -> str:
    """A sentence for text that is not TOML; most often a quantity without its quotes."""
    found = re.match(r"(?P<what>.*?) \(at (line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", message)
    what, line, column = (found["what"], found["line"], found["column"]) if found else (message, None, None)
    where, at = (f"{path}:{line}", f" at column {column}") if line else (f"{path}", " at the end of the file")
    what = what[:1].lower() + what[1:]
    return f'{where}: this is not TOML{at}: {what}; text such as "1.5 mL/day" stands in quotes, a key is followed by ='


def _sentence(problem: Any, shown: Key, key: Key, model: type[BaseModel] | None, meant: Mapping[Key, Key]) -> str:
    """What is wrong with one key, and what to do."""
    named = f'key "{_dotted(shown)}"' if shown else "the file"
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{named} is not known here; {_nearest(key, model, meant)}"
    if kind == "missing":
        return f"{named} is missing; add {_example_line(key, model)}"
    if kind == "value_error":
        return f"{named}: {context['error']}"
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        remedy = did_you_mean(str(given), known, f"write one of {', '.join(known)}")
        return f'{named}: "{given}" is not known here; {remedy}'
    wanted = {
        "string_type": 'text in quotes, such as "abc"',
        "bool_type": "true or false, without quotes",
        "bool_parsing": "true or false, without quotes",
        "int_type": "a whole number without quotes",
        "int_parsing": "a whole number without quotes",
        "int_from_float": "a whole number",
        "float_type": "a number without quotes",
        "float_parsing": "a number without quotes",
        "list_type": "a list in brackets",
        "tuple_type": "a list in brackets",
        "dict_type": "a table",
        "model_type": "a table",
        "date_type": "a date, such as 2026-10-31",
        "date_parsing": "a date, such as 2026-10-31",
        "date_from_datetime_parsing": "a date, such as 2026-10-31",
    }.get(kind)
    if wanted:
        return f"{named} is {_written(given)}; write {wanted}"
    message = problem["msg"]
    return f"{named} is {_written(given)}: {message[:1].lower()}{message[1:]}; change it"


def _written(given: object) -> str:
    """A value as it stands in the file: text in double quotes, true and false in small letters."""
    return json.dumps(given, ensure_ascii=False, default=str)


def _meant(problems: Sequence[Any], model: type[BaseModel] | None) -> Iterator[tuple[Key, Key]]:
    """Misspelt keys with the known key beside them that was meant, each known key once."""
    missing = {problem["loc"] for problem in problems if problem["type"] == "missing"}
    for problem in problems:
        if problem["type"] != "extra_forbidden":
            continue
        *table, name = problem["loc"]
        lost = [str(key[-1]) for key in missing if key[:-1] == tuple(table)]
        for candidates, likeness in ((lost, 0.5), (_fields(table, model), LIKENESS)):
            near = nearest(str(name), candidates, likeness)
            if near:
                missing.discard((*table, near))
                yield (*table, name), (*table, near)
                break


def _nearest(key: Key, model: type[BaseModel] | None, meant: Mapping[Key, Key]) -> str:
    if key in meant:
        return f'did you mean "{meant[key][-1]}"?'
    known = list(_fields(key[:-1], model))
    return f"known keys are {', '.join(known)}" if 0 < len(known) <= _MANY else "remove it"


def _example_line(key: Key, model: type[BaseModel] | None) -> str:
    """The line to add, with the field's own example."""
    field = _fields(key[:-1], model).get(str(key[-1]))
    if field is None or not field.examples:
        return "it"
    example = json.dumps(field.examples[0])  # for text, numbers, truth and lists TOML and JSON write the same
    return f"a line such as {key[-1]} = {example}"


def _fields(table: Sequence[str | int], model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    """Fields of the table at a key, by the names that a file uses."""
    for part in table:
        if model is None:
            return {}
        if isinstance(part, str):
            field = _by_key(model).get(part)
            if field is None:
                continue  # a name that the file chose, such as that of an instrument
            model = _model_in(field.annotation)
    return _by_key(model) if model is not None else {}


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``dict[str, Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _dotted(key: Key) -> str:
    return ".".join(f"{part}" for part in key)


def _line_of(text: str, key: Key) -> int | None:
    """Line of the key, or of the nearest table around it; None where the file does not name it."""
    wanted = [part for part in key if isinstance(part, str)]
    index = next((part for part in key if isinstance(part, int)), 0)
    table: list[str] = []
    seen: dict[str, int] = {}
    best, depth, closed = None, 0, False
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)([^\[\]]+)\]", line)
        entry = re.match(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=", line)
        if header:
            table = _parts(header[2])
            seen[header[2]] = seen.get(header[2], -1) + (header[1] == "[[")
            closed = header[1] == "[[" and seen[header[2]] != index  # another item of the list of tables
            path = table
        elif entry:
            path = table + _parts(entry[1])
        else:
            continue
        if not closed and len(path) > depth and path == wanted[: len(path)]:
            best, depth = number, len(path)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
