"""Run folders: what is in them, how they are written and read. One typed record a run."""

from pnc.records.folder import (
    check_folder,
    claimed,
    found_folder,
    held,
    listed_as_it_is,
    new_folder,
    read_verified,
    software_versions,
)
from pnc.records.jsons import parse_json
from pnc.records.lock import LockedError, locked
from pnc.records.run import (
    FORMAT,
    DataRecord,
    NetworkRecord,
    Pixels,
    RunRecord,
    SplitRecord,
    current_record,
    parse_record,
    read_record,
    read_run,
    write_record,
)
from pnc.records.schema import SCHEMAS, schema

__all__ = [
    "FORMAT",
    "SCHEMAS",
    "DataRecord",
    "LockedError",
    "NetworkRecord",
    "Pixels",
    "RunRecord",
    "SplitRecord",
    "check_folder",
    "claimed",
    "current_record",
    "found_folder",
    "held",
    "listed_as_it_is",
    "locked",
    "new_folder",
    "parse_json",
    "parse_record",
    "read_record",
    "read_run",
    "read_verified",
    "schema",
    "software_versions",
    "write_record",
]
