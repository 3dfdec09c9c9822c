"""Questions about a graph, to DuckDB, SQLite or Cozo in this process.

    measure.py ENGINE QUESTION EDGES

EDGES has one edge to a line, as two numbers. Prints one line of JSON: the count of rows, the
seconds that it took, without loading, and the most memory that this process had; several processors
are not used.
"""

import json
import sys
import time

from stored import peak_bytes

SQL = {
    "closure": """with recursive tc(a, b) as (select a, b from edge union
        select edge.a, tc.b from edge join tc on edge.b = tc.a) select count(*) from tc""",
    "same generation": """with recursive sg(x, y) as (
        select e.b, f.b from edge e join edge f on e.a = f.a union
        select e.b, f.b from sg join edge e on e.a = sg.x join edge f on f.a = sg.y)
        select count(*) from sg""",
    "reach": """with recursive r(x) as (select b from edge where a = 1 union
        select edge.b from r join edge on edge.a = r.x) select count(*) from r""",
    "triangles": """select count(*) from edge e join edge f on e.b = f.a
        join edge g on f.b = g.a and g.b = e.a""",
}

COZO = {
    "closure": """tc[a, b] := *edge{a, b}
        tc[a, c] := *edge{a, b}, tc[b, c]
        ?[count(a)] := tc[a, b]""",
    "same generation": """sg[x, y] := *edge{a, b: x}, *edge{a, b: y}
        sg[x, y] := sg[a, b], *edge{a, b: x}, *edge{a: b, b: y}
        ?[count(x)] := sg[x, y]""",
    "reach": """r[x] := *edge{a: 1, b: x}
        r[y] := r[x], *edge{a: x, b: y}
        ?[count(x)] := r[x]""",
    "triangles": "?[count(x)] := *edge{a: x, b: y}, *edge{a: y, b: z}, *edge{a: z, b: x}",
}


def duckdb_count(edges, question):
    import duckdb

    database = duckdb.connect()
    database.execute("set threads to 1")
    database.execute("create table edge(a bigint, b bigint)")
    values = ",".join(f"({a},{b})" for a, b in edges)
    database.execute(f"insert into edge values {values}")
    return timed(lambda: database.execute(SQL[question]).fetchone()[0])


def sqlite_count(edges, question):
    import sqlite3

    database = sqlite3.connect(":memory:")
    database.execute("create table edge(a integer, b integer, primary key (a, b)) without rowid")
    database.execute("create index back on edge(b, a)")
    database.executemany("insert into edge values (?, ?)", edges)
    return timed(lambda: database.execute(SQL[question]).fetchone()[0])


def cozo_count(edges, question):
    from cozo_embedded import CozoDbPy

    database = CozoDbPy("mem", "", "{}")
    rows = [list(edge) for edge in edges]
    text = "?[a, b] <- $rows :create edge {a, b}"
    database.run_script(text, {"rows": rows}, False)
    answer = timed(lambda: database.run_script(COZO[question], {}, True))
    return answer[0]["rows"][0][0], answer[1]


def timed(ask):
    start = time.perf_counter()
    answer = ask()
    return answer, time.perf_counter() - start


def main():
    engine, question, path = sys.argv[1:]
    with open(path, encoding="ascii") as file:
        edges = [tuple(map(int, line.split())) for line in file]
    count = {"duckdb": duckdb_count, "sqlite": sqlite_count, "cozo": cozo_count}[engine]
    rows, seconds = count(edges, question)
    print(json.dumps({"rows": rows, "seconds": seconds, "peak_bytes": peak_bytes()}))


main()
