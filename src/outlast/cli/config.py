"""`outlast config show|check`: what outlast.yaml says, and where each value comes from.

Refuses to know what a setting does.
"""

import json
import os
import sys
from argparse import Namespace

from outlast import settings
from outlast.cli import words
from outlast.cli.parse import Parser, add_json
from outlast.disk import workspace as workspaces
from outlast.errors import OK


def add_config(parser: Parser) -> None:
    parser.add_argument(
        "what", choices=("show", "check"), help="the effective values, or only whether it is right"
    )
    add_json(parser)
    parser.examples("outlast config show", "outlast config check && outlast up")


def config(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace)
    found = settings.load(workspace.config)
    if arguments.what == "check":
        exists = os.path.exists(workspace.config)
        there = "is right" if exists else "is not there: every value is the default"
        if arguments.json:
            sys.stdout.write(json.dumps({"path": workspace.config, "exists": exists, "right": True}) + "\n")
        else:
            print(f"outlast: {workspace.config} {there}", file=sys.stderr)
        return OK
    values = [(key, settings.value_of(found, key), origin) for key, origin in found.origins]
    if arguments.json:
        record = {key: {"value": value, "origin": origin} for key, value, origin in values}
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
        return OK
    for key, value, origin in values:
        if value != {}:
            sys.stdout.write(f"{key:<22} {_shown(key, value):<12} {origin}\n")
    return OK


def _shown(key: str, value: object) -> str:
    if isinstance(value, float):
        return words.span(value)
    if key == "log.max" and isinstance(value, int):
        return f"{value / (1 << 20):.0f} MiB"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)
