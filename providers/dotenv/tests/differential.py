"""What python-dotenv makes of `.env` files, for the tests of this crate.

    python differential.py requests.jsonl      answers each line on stdout
    python differential.py --write corpus      rewrites the expectations beside the corpus

A request is {"text": …, "env": {…}}. An answer is

    {"entries": [[key, value or null], …],     python-dotenv, single quotes taken literally
     "real":    [[key, value or null], …],     python-dotenv as it is
     "broken":  [line, …]}                     the lines it could not parse

The one difference of this crate is applied inside python-dotenv: its parser marks what stood in
single quotes, and its expansion leaves what is marked alone. Nothing else is changed.
"""

import io
import json
import logging
import os
import pathlib
import sys

import dotenv
import dotenv.main
import dotenv.parser

logging.disable(logging.CRITICAL)

# What the corpus is read with.
CORPUS_ENV = {"HOST": "db.example", "EMPTY": "", "SHADOWED": "from the environment"}


class SingleQuoted(str):
    """A value that stood in single quotes."""


original_parse_value = dotenv.parser.parse_value
original_parse_variables = dotenv.main.parse_variables


def marking_parse_value(reader):
    quote = reader.peek(1)
    value = original_parse_value(reader)
    return SingleQuoted(value) if quote == "'" else value


def literal_parse_variables(value):
    if isinstance(value, SingleQuoted):
        return [dotenv.variables.Literal(value)]
    return original_parse_variables(value)


def stream(text):
    # As `open(path, encoding="utf-8")` reads a file, line ends included.
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def values(text):
    return [[key, value] for key, value in dotenv.dotenv_values(stream=stream(text)).items()]


def broken(text):
    lines = []
    for binding in dotenv.parser.parse_stream(stream(text)):
        if binding.error:
            # python-dotenv counts from the blank lines before a statement.
            before = binding.original.string
            blank = before[: len(before) - len(before.lstrip())]
            lines.append(binding.original.line + blank.count("\n"))
    return lines


def answer(text, env):
    os.environ.clear()
    os.environ.update(env)
    real = values(text)
    dotenv.parser.parse_value = marking_parse_value
    dotenv.main.parse_variables = literal_parse_variables
    try:
        entries = values(text)
    finally:
        dotenv.parser.parse_value = original_parse_value
        dotenv.main.parse_variables = original_parse_variables
    return {"entries": entries, "real": real, "broken": broken(text)}


def write(corpus):
    for path in sorted(corpus.glob("*.env")):
        expected = {"env": CORPUS_ENV, **answer(path.read_bytes().decode(), CORPUS_ENV)}
        text = json.dumps(expected, indent=1, ensure_ascii=True)
        path.with_suffix(".json").write_text(text + "\n")


def main():
    if sys.argv[1] == "--write":
        write(pathlib.Path(sys.argv[2]))
        return
    with open(sys.argv[1], encoding="utf-8") as requests:
        for line in requests:
            request = json.loads(line)
            print(json.dumps(answer(request["text"], request["env"])))


main()
