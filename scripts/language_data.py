#!/usr/bin/env python3
"""Foundation's ICU data without the languages, for the gateway's release build (Sources/CLanguageData).

    scripts/language_data.py

Half of a statically linked gateway would be ICU's data for 800 locales, old character sets, dictionaries for breaking Thai and Chinese,
and transliterations. It writes for no person's language. What is kept: the root locale and English, time zones, calendars, units,
plurals, normal forms, host names (IDNA), and the rules for breaking text. Made anew when the toolchain is another. Where the
toolchain has no such library, or there is no ar and objcopy, nothing is made, and the whole is linked.

The layout of the data is ICU's `CmnD`, version 1 (common/ucmndata.h): a header, the number of items, for each the offsets of its
name and of its data from there, names in order, data at 16 bytes.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Package.swift names it as a folder of headers.
FOLDER = os.path.join(ROOT, ".build", "language-data")
# A bundle of one language, such as de_AT.res; pool.res and root.res are not.
LOCALE = re.compile(r"^[a-z]{2,3}(_[A-Za-z0-9]+)*\.res$")
KEPT_LOCALES = {"en.res", "en_001.res", "en_US.res", "en_US_POSIX.res"}
DROPPED = {"unames.icu", "cnvalias.icu"}


def is_kept(name):
    """name: path below the data's own folder, such as coll/root.res."""
    folder, _, file = name.rpartition("/")
    if file.endswith((".cnv", ".dict")) or file in DROPPED or folder == "translit":
        return False
    return not LOCALE.match(file) or file in KEPT_LOCALES


def items(data):
    """Header, and the items by name; None if it is not of the kind that is known here."""
    header, magic, form = struct.unpack_from("<HH8x4s", data)
    if magic != 0x27DA or form != b"CmnD" or data[16] != 1:
        return None
    count = struct.unpack_from("<I", data, header)[0]
    table = [struct.unpack_from("<II", data, header + 4 + 8 * index) for index in range(count)]
    ends = [begin for _, begin in table[1:]] + [len(data) - header]
    found = []
    for (name, begin), end in zip(table, ends):
        text = data[header + name : data.index(b"\0", header + name)].decode("ascii")
        found.append((text, data[header + begin : header + end]))
    return data[:header], found


def package(header, kept):
    names = b""
    offsets = []
    first = 4 + 8 * len(kept)
    for name, _ in kept:
        offsets.append(first + len(names))
        names += name.encode("ascii") + b"\0"
    at = -(-(first + len(names)) // 16) * 16
    bodies = b""
    table = struct.pack("<I", len(kept))
    for offset, (_, body) in zip(offsets, kept):
        table += struct.pack("<II", offset, at + len(bodies))
        bodies += body + b"\0" * (-len(body) % 16)
    return header + (table + names).ljust(at, b"\0") + bodies


def leave(reason):
    """Without it everything works, and is larger."""
    print(f"language_data: {reason}: Foundation's own is linked", file=sys.stderr)
    sys.exit(0)


def main():
    swift = shutil.which("swift")
    library = swift and os.path.join(
        os.path.dirname(os.path.dirname(os.path.realpath(swift))), "lib", "swift_static", "linux", "lib_FoundationICU.a"
    )
    if not library or not os.path.exists(library):
        leave("the toolchain has no lib_FoundationICU.a")
    header = os.path.join(FOLDER, "language-data.h")
    newest = max(os.path.getmtime(path) for path in (library, os.path.abspath(__file__)))
    if os.path.exists(header) and os.path.getmtime(header) > newest:
        return
    if not shutil.which("ar") or not shutil.which("objcopy"):
        leave("there is no ar or objcopy")
    with tempfile.TemporaryDirectory() as folder:
        whole, raw = os.path.join(folder, "whole.o"), os.path.join(folder, "whole.dat")
        with open(whole, "wb") as file:
            if subprocess.run(["ar", "p", library, "icu_packaged_data.cpp.o"], stdout=file, check=False).returncode:
                leave("the library has its data elsewhere")
        subprocess.run(["objcopy", "--output-target", "binary", "--only-section", ".rodata", whole, raw], check=True)
        with open(raw, "rb") as file:
            read = items(file.read())
    if read is None:
        leave("the data has another layout")
    head, found = read
    kept = [(name, body) for name, body in found if is_kept(name.partition("/")[2])]
    symbol = found[0][0].partition("/")[0].removesuffix("l") + "_dat"
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "language-data.dat"), "wb") as file:
        size = file.write(package(head, kept))
    with open(header, "w", encoding="ascii") as file:
        file.write(f"#define LANGUAGE_DATA_SYMBOL {symbol}\n")
    # What was compiled without it is compiled again.
    os.utime(os.path.join(ROOT, "Sources", "CLanguageData", "LanguageData.S"))
    print(f"language_data: {len(kept)} of {len(found)} items, {size} bytes")


if __name__ == "__main__":
    main()
