#!/usr/bin/env python3
"""Reads what a program of ours wrote when it crashed, and says which function and line each address of it is.

    read_crash.py SYMBOLS [REPORT]

SYMBOLS: a folder with files .build-id/XX/REST.debug, as `docker build --target symbols` makes it; REPORT: standard input unless it is
named. Lines are told as they are, with what was found after the frames. Needs llvm-symbolizer, which is part of Swift's toolchain and
of LLVM, or addr2line.
"""

import os
import re
import shutil
import subprocess
import sys

# 0x000056291037d000–0x0000562912468260 BUILD-ID balancer  /opt/otv/balancer
IMAGE = re.compile(r"^(0x[0-9a-f]+)\S(0x[0-9a-f]+) ([0-9a-f]{8,}) (\S+)")
#   1 [ra] 0x0000562911b7c6f9 <unknown> in balancer
FRAME = re.compile(r"^\s*\d+ (\[ra\])?[^0]*(0x[0-9a-f]{8,}) ")


def tool():
    for command in (["llvm-symbolizer", "--functions", "--inlines", "--demangle", "--relative-address"], ["addr2line", "-f", "-i", "-C"]):
        if shutil.which(command[0]):
            return command
    raise SystemExit("read_crash: neither llvm-symbolizer nor addr2line is here")


def images(lines, symbols):
    """(first address, last address, file with symbols) of each image that has one."""
    for line in lines:
        if match := IMAGE.match(line):
            mark = match[3]
            file = os.path.join(symbols, ".build-id", mark[:2], mark[2:] + ".debug")
            if os.path.exists(file):
                yield int(match[1], 16), int(match[2], 16), file


def demangled(words):
    swift = shutil.which("swift")
    if not swift:
        return words
    return subprocess.run([swift, "demangle", "--compact"], input=words, capture_output=True, text=True, check=False).stdout or words


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    with open(sys.argv[2], encoding="utf-8") if len(sys.argv) == 3 else sys.stdin as file:
        lines = file.read().splitlines()
    known = list(images(lines, sys.argv[1]))
    if not known:
        marks = [match[3] for line in lines if (match := IMAGE.match(line))]
        raise SystemExit(f"read_crash: no symbols in {sys.argv[1]} for the build ids {' '.join(marks) or '(none in the report)'}")
    command = tool()
    for line in lines:
        print(line)
        match = FRAME.match(line)
        if not match:
            continue
        address = int(match[2], 16)
        for first, last, file in known:
            if first <= address < last:
                # A return address is behind the call that it belongs to.
                offset = address - first - (1 if match[1] else 0)
                found = subprocess.run([*command, "-e", file, hex(offset)], capture_output=True, text=True, check=False).stdout
                for word in demangled(found).split("\n"):
                    if word.strip():
                        print(f"        {word}")


if __name__ == "__main__":
    main()
