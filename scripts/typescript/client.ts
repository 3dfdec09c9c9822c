// Appends events with the module that is made of a schema, and reads them back.

import {
  Client, Customer, newEvent, Problem, SensorMeasured, ShipmentBooked, ShipmentClosed,
  ShipmentDeparted,
} from "./schema.js";

declare const process: { env: { [name: string]: string | undefined } };

function same(got: unknown, expected: unknown): void {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, of: unknown) => (typeof of === "bigint" ? `${of}n` : of));
  if (text(got) !== text(expected)) throw new Error(`${text(got)} is not ${text(expected)}`);
}

const client = new Client(process.env["LATERBASE_URL"] ?? "");
const departed: ShipmentDeparted = { port: "NL\"RTM\u2028" };
const booked: ShipmentBooked = {
  customer: "c1", weightKg: "12345678901234567890.12345678", pieces: 9007199254740993n,
};
const measured: SensorMeasured = {
  taken: "2026-03-01T12:00:00.000001Z", took: "1d12h", raw: "AP8=", isOk: true,
  celsius: [0.1, -3], seals: ["a", "b"], details: { n: 9007199254740993n, x: [1.5, null, "é"] },
  limits: [2.5], type: "probe",
};
const at = "2026-03-01T12:00:00Z";
const appended = await client.append(
  newEvent(ShipmentBooked, "4711", booked),
  newEvent(ShipmentDeparted, "4711", departed, { at, id: "once" }),
  newEvent(SensorMeasured, "s1", measured),
  newEvent(ShipmentClosed, "4711", {}),
);
same([appended.outcome, appended.events.length], ["recorded", 4]);
const again = await client.append(newEvent(ShipmentDeparted, "4711", departed, { at, id: "once" }));
same(again.outcome, "already_applied");

const rows = await client.events(ShipmentDeparted);
same(rows.map((row) => [row.key, row.at]), [["4711", at]]);
same(rows[0]?.id, appended.events[1]?.id);
same(rows[0]?.fields, { port: departed.port, carrier: null });
same((await client.events(ShipmentBooked))[0]?.fields, booked);
const [read] = await client.events(SensorMeasured);
const absent = { day: null, follows: null, planned: null };
for (const [name, value] of Object.entries({ ...measured, ...absent })) {
  same((read?.fields as unknown as { [name: string]: unknown })[name], value);
}
same((await client.events(ShipmentClosed)).length, 1);

const own = "?{port, carrier} :- shipment.departed{key: $key, port, carrier}";
const asked = await client.askAs(ShipmentDeparted, own, { key: "4711" });
same(asked, [{ port: departed.port, carrier: null }]);
const answer = await client.ask("?{n: count(), big: max(p)} :- shipment.booked{pieces: p}");
same(answer.rows, [{ n: 1, big: 9007199254740993n }]);
const refused = await client.ask("?{n} :- nothing").catch((error: unknown) => error);
if (!(refused instanceof Problem) || refused.type !== "/problems/query") throw refused;

const put =
  "put customer{key: $key, name: $name, points: +$points, tags: +$tags, credit: decimal($credit)}";
const acme = { key: "c1", name: "Acme", points: 9007199254740993n, tags: ["cold"], credit: "0.125" };
await client.ask(put, acme);
const customers: Customer[] = await client.rows(Customer);
same(customers, [{ ...acme, region: "EU", note: null }].map(({ key, name, ...rest }) => ({
  key, name, region: rest.region, points: rest.points, tags: rest.tags, note: rest.note,
  credit: rest.credit,
})));
console.log("events of a schema, there and back: ok");
