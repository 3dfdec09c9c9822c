// What the peers share: reads the events, runs a cold exchange several times, prints one line.
//
//   node PEER.mjs EVENTS_FILE RUNS
//
// EVENTS_FILE holds one JSON object a line, the same payloads that Laterbase is given. Events are
// recorded in changes of BATCH. A run builds nothing: the source holds all events before the
// clock starts, the target holds none, and the clock stops when the target holds them all.

import { readFileSync } from "node:fs";

export const BATCH = 100;

const [file, runs] = process.argv.slice(2);

/** The payloads, as text. */
export const lines = readFileSync(file, "utf8").split("\n").filter((line) => line.length > 0);

/** The payloads in groups of BATCH. */
export function batches() {
  const groups = [];
  for (let at = 0; at < lines.length; at += BATCH) groups.push(lines.slice(at, at + BATCH));
  return groups;
}

/** The version of an installed package. */
export function version(name) {
  const path = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8")).version;
}

/**
 * Runs `exchange` and prints what it took. It answers with the bytes of all messages, how many
 * round trips they took and how many events the target holds.
 */
export async function measure(name, form, packageName, exchange) {
  const times = [];
  let last;
  for (let run = 0; run < Number(runs); run += 1) {
    globalThis.gc?.();
    const begun = performance.now();
    last = await exchange(run);
    times.push(performance.now() - begun);
    if (last.events !== lines.length) {
      throw new Error(`${name}, ${form}: ${last.events} events instead of ${lines.length}`);
    }
  }
  const sorted = [...times].sort((one, other) => one - other);
  console.log(JSON.stringify({
    name,
    form,
    version: version(packageName),
    events: last.events,
    bytes_up: last.up,
    bytes_down: last.down,
    round_trips: last.roundTrips,
    milliseconds: sorted[Math.floor(sorted.length / 2)],
    runs: times,
  }));
}
