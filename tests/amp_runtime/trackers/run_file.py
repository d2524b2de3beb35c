"""Reads the file that wandb writes offline: LevelDB's log format behind a header of seven bytes, protobuf inside.

The format is that of leveldb/doc/log_format.md: blocks of 32 KiB of records with checksum, length and kind.
"""

import json
import struct

from wandb.proto import wandb_internal_pb2

_BLOCK = 32768
_HEAD = 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def read_records(path):
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, parts, records = _HEAD, [], []
    while place < len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts.append(data[place + _HEAD : place + _HEAD + length])
        place += _HEAD + length
        if kind in (_FULL, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            records.append(record)
            parts = []
    assert parts == []
    return records


def history_of(records):
    """Return the logged rows, wandb's own columns left out."""
    rows = []
    for record in records:
        if record.WhichOneof("record_type") == "history":
            row = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            rows.append({name: value for name, value in row.items() if name not in ("_timestamp", "_runtime")})
    return rows


def config_of(records):
    config = {}
    for record in records:
        updates = record.run.config.update if record.WhichOneof("record_type") == "run" else record.config.update
        config |= {item.key: json.loads(item.value_json) for item in updates if item.key != "_wandb"}
    return config
