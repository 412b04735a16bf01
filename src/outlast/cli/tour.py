"""`outlast demo`: the options of the one-minute tour. The tour itself is cli/demo.py."""

from argparse import Namespace

from outlast.cli.parse import Parser


def add_demo(parser: Parser) -> None:
    parser.add_argument(
        "--folder", metavar="DIR", help="run it there and leave everything (default: a temporary folder)"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete the temporary folder")
    parser.examples("outlast demo", "outlast demo --keep")


def demo(arguments: Namespace) -> int:
    from outlast.cli.demo import demo as tour

    return tour(arguments.folder or arguments.workspace, keep=arguments.keep)
