// PouchDB: a database in LevelDB replicates one behind HTTP, which another process serves with
// express-pouchdb. Bodies are counted as they go over the wire, compressed where the server does.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(import.meta.url);
const PouchDB = require("pouchdb");
/** Larger than the default of 100, with which it takes longer. */
const REPLICATION = { batch_size: 1000 };

if (process.send) await serve();
else await replicate();

async function serve() {
  const express = require("express");
  const folder = process.argv[3];
  const Stored = PouchDB.defaults({ prefix: join(folder, "server-") });
  let counted = { up: 0, down: 0, requests: 0 };
  const app = express();
  app.use((request, response, next) => {
    counted.requests += 1;
    counted.up += Number(request.headers["content-length"] ?? 0);
    for (const name of ["write", "end"]) {
      const original = response[name];
      response[name] = (chunk, ...rest) => {
        if (chunk && typeof chunk !== "function") counted.down += Buffer.byteLength(chunk);
        return original.call(response, chunk, ...rest);
      };
    }
    next();
  });
  const logPath = join(folder, "server.log");
  const configPath = join(folder, "server.json");
  const mode = "minimumForPouchDB";
  app.use(require("express-pouchdb")(Stored, { mode, logPath, configPath }));
  const { batches } = await import("./measure.mjs");
  const source = new Stored("events");
  let number = 0;
  for (const batch of batches()) {
    await source.bulkDocs(batch.map((line) => {
      number += 1;
      return { _id: String(number).padStart(8, "0"), ...JSON.parse(line) };
    }));
  }
  process.on("message", () => {
    process.send({ counted });
    counted = { up: 0, down: 0, requests: 0 };
  });
  const server = app.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
}

async function replicate() {
  const { lines, measure } = await import("./measure.mjs");
  const folder = mkdtempSync(join(tmpdir(), "laterbase-bench-pouchdb-"));
  const child = fork(new URL(import.meta.url), [process.argv[2], folder]);
  const told = async () => (await once(child, "message"))[0];
  try {
    const { port } = await told();
    const Here = PouchDB.defaults({ prefix: join(folder, "client-") });
    await measure("pouchdb", "objects", "pouchdb", async (run) => {
      const target = new Here(`run-${run}`);
      const from = `http://127.0.0.1:${port}/events`;
      const done = await PouchDB.replicate(from, target, REPLICATION);
      child.send("count");
      const { counted } = await told();
      const events = done.docs_written;
      return { up: counted.up, down: counted.down, roundTrips: counted.requests, events };
    });
  } finally {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
