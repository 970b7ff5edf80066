"""Rows in a form in which they leave, some at a time: `async for part, rows in written(tx, table, question, "csv")`.

PostgreSQL writes the lines itself (COPY): that costs a third of fetching every value, making an object of it here and
writing that. Only tables with a column that this process alone can read, an address that is sealed, are written here,
row by row. Whichever of the two writes them, both forms hold the same rows with the same values.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Text, case, cast, func, literal_column, select

from assisters_app.base.db import Tx
from assisters_app.base.sealed_text import Sealed
from assisters_app.privacy import inventory
from assisters_app.privacy.rights import forms
from assisters_app.privacy.rights.forms import FORMULAS, Form, Row

AT_ONCE = 128 * 1024  # bytes in memory, packed and sealed together
ROWS_AT_ONCE = 500  # the same for rows that are written here
ENDS = {Form.LINES: b"\n", Form.CSV: b"\r\n"}  # RFC 4180 wants both characters
OPTIONS = {  # of COPY
    # JSON as it is: a line holds no control character, so nothing is ever quoted or escaped once more
    Form.LINES: r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8'",
    Form.CSV: "FORMAT csv, ENCODING 'UTF8'",
}

Part = tuple[bytes, int]  # whole lines, and how many rows they hold


def written(tx: Tx, table: Table, question: Select[Any], form: Form) -> AsyncGenerator[Part, None]:
    """Yield the rows that `question` asks `table` for, in its order, without a head."""
    if any(isinstance(column.type, Sealed) for column in table.c):
        return _written_here(tx, table, question, form)
    return _copied(tx, _lines_of(question) if form is Form.LINES else _cells_of(question, table), form)


async def _written_here(tx: Tx, table: Table, question: Select[Any], form: Form) -> AsyncGenerator[Part, None]:
    result = await tx.stream(question.execution_options(yield_per=ROWS_AT_ONCE))
    async for batch in result.mappings().partitions():
        yield _form(table, batch, form), len(batch)


def _form(table: Table, batch: Sequence[Row], form: Form) -> bytes:
    return forms.as_lines(batch) if form is Form.LINES else forms.as_csv(batch, forms.names(table))


async def _copied(tx: Tx, question: Select[Any], form: Form) -> AsyncGenerator[Part, None]:
    """Yield what COPY writes: each message that comes is one row, however many lines its text has."""
    connection = await tx.connection()
    asked = question.compile(dialect=connection.dialect).construct_expanded_state()
    bound = {name: asked.processors.get(name, _as_it_is)(value) for name, value in asked.parameters.items()}
    statement = f"COPY ({asked.statement}) TO STDOUT ({OPTIONS[form]})"
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    lines, size = [], 0
    async with driver.cursor() as cursor, cursor.copy(statement, bound) as copied:
        async for line in copied:
            lines.append(line[:-1])
            size += len(line)
            if size >= AT_ONCE:
                yield _joined(lines, form), len(lines)
                lines, size = [], 0
    if lines:
        yield _joined(lines, form), len(lines)


def _joined(lines: Sequence[bytes], form: Form) -> bytes:
    return ENDS[form].join((*lines, b""))


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 (any parameter)
    return value


def _lines_of(question: Select[Any]) -> Select[Any]:
    """Return each row as one line of JSON."""
    return select(func.row_to_json(literal_column("one"))).select_from(question.subquery("one"))


def _cells_of(question: Select[Any], table: Table) -> Select[Any]:
    """Return each row as what `forms.as_csv` makes of its values."""
    one = question.subquery("one")
    return select(*(_cell(one.c[name], inventory.kind_of(table.c[name])) for name in forms.names(table)))


def _cell(value: ColumnElement[Any], kind: type[Any]) -> ColumnElement[Any]:
    if kind is str:
        return case((func.ascii(value).in_([ord(sign) for sign in FORMULAS]), func.concat("'", value)), else_=value)
    if kind is datetime:
        return func.btrim(cast(func.to_json(value), Text), '"')  # as JSON has it, which a cast to text has not
    return cast(value, Text) if kind in (bool, dict) else value
