"""A short storm in the suite; `make chaos` runs longer ones."""

import asyncio
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


async def test_whatever_is_killed_no_call_is_lost_or_doubled():
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE.parent}"}
    storm = await asyncio.create_subprocess_exec(
        *(sys.executable, HERE / "storm.py", "--seconds", "8", "--seed", "20", "--callers", "6"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await storm.communicate())[0].decode()
    last = said.splitlines()[-1]
    told = re.fullmatch(r"requests=(\d+) kills=(\d+) lost=0 doubled=0", last)
    assert told, said
    assert (int(told[1]) > 20, int(told[2]) >= 4, storm.returncode) == (True, True, 0), said
