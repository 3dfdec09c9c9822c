"""Questions about stored events, to DuckDB or SQLite in this process.

    stored.py ENGINE FOLDER load
    stored.py ENGINE FOLDER selective|whole

`load` makes a database of the lists in FOLDER, with indexes. The others ask each question of their
kind once for each of its parameters, and print one line of JSON: for each question all rows and
the median of the seconds, and the most memory that this process had. One processor is used.
"""

import csv
import json
import statistics
import sys
import time

INSIDE = """with recursive inside(item) as (
    select item from box where key = {first} {cut}
    union select box.item from inside join box on box.key = inside.item {and_cut})"""
ALL = {"cut": "", "and_cut": ""}
CUT = {"cut": "and tx_us <= $tx", "and_cut": "and box.tx_us <= $tx"}

SELECTIVE = {
    "key": "key = $key",
    "key, as of": "key = $key and tx_us <= $tx",
    "key, valid": "key = $key and at_us >= $from and at_us < $until",
    "key, as of, valid": "key = $key and tx_us <= $tx and at_us >= $from and at_us < $until",
    "last one of a key": "key = $key order by at_us desc, port limit 1",
    "range of valid time": "at_us >= $from and at_us < $soon",
    "range of valid time, as of": "at_us >= $from and at_us < $soon and tx_us <= $tx",
    "range of transaction time": "tx_us >= $commit and tx_us < $next",
}

QUESTIONS = {
    "selective": {
        name: "select distinct "
        + ("key, at_us" if "range" in name else "at_us, port")
        + " from shipment where type = 'departed' and "
        + where
        for name, where in SELECTIVE.items()
    }
    | {
        "on a truck": INSIDE.format(first="$truck", **ALL) + " select item from inside",
        "on a pallet, as of": INSIDE.format(first="$pallet", **CUT) + " select item from inside",
        "ports of a pallet's shipments": INSIDE.format(first="$pallet", **ALL)
        + """ select port, count(*) from inside join shipment on shipment.key = inside.item
        where type = 'departed' group by port""",
    },
    "whole": {
        "count by port": """select port, count(*) from shipment where type = 'departed'
            group by port""",
        "weight by carrier": """select carrier, sum(weight_kg) from shipment
            where type = 'departed' group by carrier""",
        "one seal, no index": """select distinct key, at_us from shipment
            where type = 'departed' and seal = $seal""",
    },
}

COLUMNS = {
    "shipment": "type {t}, key {t}, at_us {i}, port {t}, carrier {t}, weight_kg {d}, gate {i}, "
    "seal {t}, driver {t}, tx_us {i}",
    "box": "key {t}, item {t}, at_us {i}, tx_us {i}",
}

INDEXES = [
    "create index shipment_key on shipment(key)",
    "create index shipment_at on shipment(at_us)",
    "create index shipment_tx on shipment(tx_us)",
    "create index box_key on box(key)",
]


def load_sqlite(folder):
    import sqlite3

    database = sqlite3.connect(f"{folder}/sqlite")
    database.execute("pragma journal_mode = off")
    database.execute("pragma synchronous = off")
    for table, columns in COLUMNS.items():
        columns = columns.format(t="text", i="integer", d="real")
        database.execute(f"create table {table}({columns})")
        places = ", ".join("?" for _ in columns.split(","))
        with open(f"{folder}/{table}.csv", encoding="ascii", newline="") as file:
            database.executemany(f"insert into {table} values ({places})", csv.reader(file))
    for index in INDEXES:
        database.execute(index)
    database.execute("analyze")
    database.commit()


def load_duckdb(folder):
    import duckdb

    database = duckdb.connect(f"{folder}/duckdb")
    for table, columns in COLUMNS.items():
        columns = columns.format(t="varchar", i="bigint", d="decimal(18, 1)")
        database.execute(f"create table {table}({columns})")
        database.execute(f"copy {table} from '{folder}/{table}.csv' (header false)")
    for index in INDEXES:
        database.execute(index)
    database.execute("checkpoint")


def sqlite_ask(folder):
    import sqlite3

    database = sqlite3.connect(f"{folder}/sqlite")
    database.execute("pragma mmap_size = 8000000000")
    return lambda text, parameters: database.execute(text, parameters).fetchall()


def duckdb_ask(folder):
    import duckdb

    database = duckdb.connect(f"{folder}/duckdb", read_only=True)
    database.execute("set threads to 1")
    return lambda text, parameters: database.execute(text, parameters or None).fetchall()


def main():
    engine, folder, kind = sys.argv[1:]
    if kind == "load":
        {"sqlite": load_sqlite, "duckdb": load_duckdb}[engine](folder)
        print("{}")
        return
    ask = {"sqlite": sqlite_ask, "duckdb": duckdb_ask}[engine](folder)
    with open(f"{folder}/parameters.json", encoding="utf-8") as file:
        parameters = json.load(file)
    answers = {}
    for name, text in QUESTIONS[kind].items():
        asked = parameters[name]
        for one in asked[:20] if kind == "selective" else []:
            ask(text, one)
        rows, seconds = 0, []
        for one in asked:
            start = time.perf_counter()
            rows += len(ask(text, one))
            seconds.append(time.perf_counter() - start)
        answers[name] = {"rows": rows, "seconds": statistics.median(seconds)}
    print(json.dumps({"answers": answers, "peak_bytes": peak_bytes()}))


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
