#!/usr/bin/env python3
"""A manual page of a program, made of what the program says of itself.

    balancer --experimental-dump-help | man_page.py > balancer.1

All subcommands are on the one page: whoever looks for an option finds it with one search.
"""

import json
import sys


def text(words):
    """Text for mdoc: backslashes and leading dots are commands there, and letters are ASCII's."""
    plain = "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in (words or "").replace("\\", "\\e"))
    lines = plain.split("\n")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in lines if line.strip())


def name(argument):
    said = argument.get("preferredName")
    if not said:
        return None
    return said["name"] if said["kind"] == "short" else "-" + said["name"]


def usage(argument):
    value = f'Ar {argument.get("valueName", "value")}'
    kind = argument["kind"]
    if kind == "flag":
        words = f"Fl {name(argument)}"
    elif kind == "option":
        words = f"Fl {name(argument)} {value}"
    else:
        words = value + (" ..." if argument.get("isRepeating") else "")
    return f".Op {words}" if argument.get("isOptional") else "." + words


def shown(command):
    return [each for each in command.get("arguments", []) if each.get("shouldDisplay") and name(each) not in ("-help", "h", "-version")]


def listed(arguments):
    if not arguments:
        return
    yield ".Bl -tag -width indent"
    for argument in arguments:
        yield ".It " + usage(argument).removeprefix(".Op ").removeprefix(".")
        words = text(argument.get("abstract"))
        if words:
            yield words
        if argument.get("defaultValue"):
            yield f'The default is {text(argument["defaultValue"])}.'
    yield ".El"


def page(command):
    title = command["commandName"]
    yield f".Dd $Mdocdate$\n.Dt {title.upper()} 1\n.Os"
    yield f".Sh NAME\n.Nm {title}\n.Nd {text(command.get('abstract')).rstrip('.')}"
    subcommands = [each for each in command.get("subcommands", []) if each["commandName"] != "help"]
    yield ".Sh SYNOPSIS"
    for each in subcommands:
        yield f".Nm {title}\n.Cm {each['commandName']}"
        yield from map(usage, shown(each))
    yield ".Sh DESCRIPTION"
    yield text(command.get("abstract"))
    if command.get("discussion"):
        yield ".Pp\n" + text(command["discussion"])
    yield ".Sh COMMANDS"
    for each in subcommands:
        yield f".Ss {each['commandName']}"
        yield text(each.get("abstract"))
        if each.get("discussion"):
            yield ".Pp\n" + text(each["discussion"])
        yield from listed(shown(each))


def main():
    print("\n".join(page(json.load(sys.stdin)["command"])))


if __name__ == "__main__":
    main()
