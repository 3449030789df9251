"""Outlook's .msg files, written by hand from Microsoft's descriptions.

A .msg file ([MS-OXMSG]) is a compound file ([MS-CFB]): a file system in a file, with 512-byte
sectors, and 64-byte ones for streams under 4,096 bytes. Properties of a mail are streams named
after their tag, and one table of them.
"""

import struct
from collections.abc import Mapping
from typing import Any

Tree = Mapping[str, "bytes | Tree"]

FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
SECTOR, MINI, CUTOFF = 512, 64, 4096

UNICODE, BINARY, LONG = 0x001F, 0x0102, 0x0003
MESSAGE_CLASS, SUBJECT, HEADERS, BODY, RTF, HTML = 0x001A, 0x0037, 0x007D, 0x1000, 0x1009, 0x1013
SENDER_NAME, SENDER_ADDRESS, RECIPIENT_TYPE, NAME, ADDRESS = 0x0C1A, 0x0C1F, 0x0C15, 0x3001, 0x3003


def msg(properties: dict[int, str | bytes], recipients: Mapping[str, str]) -> bytes:
    """A .msg file with these properties, sent to these people (name to address)."""
    tree: dict[str, bytes | Tree] = {
        "__nameid_version1.0": {f"__substg1.0_000{n}0102": b"" for n in (2, 3, 4)}
    }
    for number, (name, address) in enumerate(recipients.items()):
        streams, table = _properties({NAME: name, ADDRESS: address})
        table += struct.pack("<IIII", RECIPIENT_TYPE << 16 | LONG, 6, 1, 0)
        tree[f"__recip_version1.0_#{number:08X}"] = {
            **streams,
            "__properties_version1.0": bytes(8) + table,
        }
    streams, table = _properties({MESSAGE_CLASS: "IPM.Note", **properties})
    count = len(recipients)
    head = bytes(8) + struct.pack("<IIII", count, 0, count, 0) + bytes(8)
    return compound_file({**tree, **streams, "__properties_version1.0": head + table})


def uncompressed_rtf(text: str) -> bytes:
    """RTF as the property RTF holds it, stored and not compressed ([MS-OXRTFCP])."""
    raw = text.encode("ascii")
    return struct.pack("<IIII", len(raw) + 12, len(raw), 0x414C454D, 0) + raw


def _properties(values: Mapping[int, str | bytes]) -> tuple[dict[str, bytes], bytes]:
    streams, table = {}, b""
    for tag, value in values.items():
        kind = UNICODE if isinstance(value, str) else BINARY
        data = value.encode("utf-16-le") if isinstance(value, str) else value
        streams[f"__substg1.0_{tag:04X}{kind:04X}"] = data
        size = len(data) + 2 * (kind == UNICODE)
        table += struct.pack("<IIII", tag << 16 | kind, 6, size, 0)
    return streams, table


def compound_file(tree: Tree) -> bytes:
    """A compound file of these streams (bytes) and storages (further trees)."""
    entries: list[dict[str, Any]] = [{"name": "Root Entry", "kind": 5, "data": b""}]
    _add(tree, entries, 0)
    mini, mini_fat = b"", []
    big: list[tuple[dict[str, Any], bytes]] = []
    for entry in entries[1:]:
        data = entry["data"]
        entry["start"], entry["size"] = (0 if entry["kind"] == 1 else END), len(data)
        if 0 < len(data) < CUTOFF:
            first, count = len(mini_fat), -(-len(data) // MINI)
            entry["start"] = first
            mini_fat += [*range(first + 1, first + count), END]
            mini += data.ljust(count * MINI, b"\0")
        elif data:
            big.append((entry, data))
    fat: list[int] = []
    body = b""

    def place(data: bytes, filling: bytes = b"\0") -> int:
        nonlocal body
        count = -(-len(data) // SECTOR)
        if not count:
            return END
        first = len(fat)
        fat.extend([*range(first + 1, first + count), END])
        body += data.ljust(count * SECTOR, filling)
        return first

    entries[0]["start"], entries[0]["size"] = place(mini), len(mini)
    for entry, data in big:
        entry["start"] = place(data)
    mini_table = place(struct.pack(f"<{len(mini_fat)}I", *mini_fat), b"\xff")
    while len(entries) % 4:
        entries.append({})
    directory = place(b"".join(map(_entry, entries)))
    tables = 1
    while -(-(len(fat) + tables) // 128) > tables:
        tables += 1
    where = range(len(fat), len(fat) + tables)
    fat += [FAT] * tables
    body += struct.pack(f"<{len(fat)}I", *fat).ljust(tables * SECTOR, b"\xff")
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    minis = -(-len(mini_fat) // 128)
    head += struct.pack("<IIIIIIIII", 0, tables, directory, 0, CUTOFF, mini_table, minis, END, 0)
    return head + struct.pack("<109I", *where, *[FREE] * (109 - tables)) + body


def _add(tree: Tree, entries: list[dict[str, Any]], parent: int) -> None:
    """Append the entries of a storage; its children hang below it as a balanced search tree."""
    numbers = {}
    for name in sorted(tree, key=lambda name: (len(name), name.upper())):
        content = tree[name]
        numbers[len(entries)] = content
        is_storage = isinstance(content, Mapping)
        entries.append({"name": name, "kind": 1 if is_storage else 2, "data": b""})
        if not is_storage:
            entries[-1]["data"] = content

    def root(among: list[int]) -> int:
        if not among:
            return FREE
        middle = len(among) // 2
        entry = entries[among[middle]]
        entry["left"], entry["right"] = root(among[:middle]), root(among[middle + 1 :])
        return among[middle]

    entries[parent]["child"] = root(list(numbers))
    for number, content in numbers.items():
        if isinstance(content, Mapping):
            _add(content, entries, number)


def _entry(entry: dict[str, Any]) -> bytes:
    if not entry:
        return bytes(68) + struct.pack("<III", FREE, FREE, FREE) + bytes(48)
    name = str(entry["name"]).encode("utf-16-le")
    links = (entry.get(way, FREE) for way in ("left", "right", "child"))
    return (
        name.ljust(64, b"\0")
        + struct.pack("<HBB", len(name) + 2, entry["kind"], 1)
        + struct.pack("<III", *links)
        + bytes(36)
        + struct.pack("<IQ", entry["start"], entry["size"])
    )
