// Yjs: the target says its state vector, the source encodes what it lacks, the target applies it.

import * as Y from "yjs";
import { batches, measure } from "./measure.mjs";

function source(each) {
  const doc = new Y.Doc();
  const list = doc.getArray("events");
  for (const batch of batches()) doc.transact(() => list.push(batch.map(each)));
  return doc;
}

function exchange(server) {
  return () => {
    const client = new Y.Doc();
    const asked = Y.encodeStateVector(client);
    const update = Y.encodeStateAsUpdate(server, asked);
    Y.applyUpdate(client, update);
    const events = client.getArray("events").length;
    return { up: asked.length, down: update.length, roundTrips: 1, events };
  };
}

const forms = [
  ["opaque strings", (line) => line],
  ["objects", (line) => new Y.Map(Object.entries(JSON.parse(line)))],
];
for (const [form, each] of forms) {
  await measure("yjs", form, "yjs", exchange(source(each)));
}
