// Loro: the target says its version, the source exports what it lacks, the target imports it; or
// the source exports a snapshot with all history, which the target decodes when it reads.

import { LoroDoc, LoroMap } from "loro-crdt";
import { batches, measure } from "./measure.mjs";

function source(push) {
  const doc = new LoroDoc();
  const list = doc.getList("events");
  for (const batch of batches()) {
    for (const line of batch) push(list, line);
    doc.commit();
  }
  return doc;
}

function exchange(server, mode) {
  return () => {
    const client = new LoroDoc();
    const asked = client.version();
    const up = asked.encode().length;
    const sent = server.export(mode === "update" ? { mode, from: asked } : { mode });
    client.import(sent);
    const events = client.getList("events").length;
    return { up, down: sent.length, roundTrips: 1, events };
  };
}

const asObject = (list, line) => {
  const map = list.pushContainer(new LoroMap());
  for (const [name, value] of Object.entries(JSON.parse(line))) map.set(name, value);
};
const forms = [
  ["opaque strings", (list, line) => list.push(line)],
  ["objects", asObject],
];
for (const [form, push] of forms) {
  const server = source(push);
  await measure("loro", form, "loro-crdt", exchange(server, "update"));
  await measure("loro", `${form}, snapshot`, "loro-crdt", exchange(server, "snapshot"));
}
