// Automerge: its sync protocol between two documents, until neither has anything to say.

import * as Automerge from "@automerge/automerge";
import { batches, measure } from "./measure.mjs";

function source(each) {
  let doc = Automerge.from({ events: [] });
  for (const batch of batches()) {
    doc = Automerge.change(doc, (draft) => draft.events.push(...batch.map(each)));
  }
  return Automerge.save(doc);
}

function exchange(saved) {
  let server = Automerge.load(saved);
  return () => {
    let client = Automerge.init();
    let asks = Automerge.initSyncState();
    let answers = Automerge.initSyncState();
    let [up, down, roundTrips] = [0, 0, 0];
    for (;;) {
      let asked;
      let answered;
      [asks, asked] = Automerge.generateSyncMessage(client, asks);
      if (asked) {
        up += asked.length;
        [server, answers] = Automerge.receiveSyncMessage(server, answers, asked);
      }
      [answers, answered] = Automerge.generateSyncMessage(server, answers);
      if (answered) {
        down += answered.length;
        [client, asks] = Automerge.receiveSyncMessage(client, asks, answered);
      }
      if (!asked && !answered) break;
      roundTrips += 1;
    }
    return { up, down, roundTrips, events: client.events.length };
  };
}

const forms = [
  ["opaque strings", (line) => new Automerge.ImmutableString(line)],
  ["objects", (line) => JSON.parse(line)],
];
for (const [form, each] of forms) {
  await measure("automerge", form, "@automerge/automerge", exchange(source(each)));
}
