// Each line that is marked does not compile.

import { Client, Customer, newEvent, ShipmentBooked, ShipmentDeparted } from "./schema.js";

const client = new Client("http://127.0.0.1/db/db");
newEvent(ShipmentDeparted, "4711", { prt: "NLRTM", port: "NLRTM" }); // wrong: no such field
newEvent(ShipmentDeparted, "4711", { carrier: "x" }); // wrong: the port is missing
newEvent(ShipmentBooked, "1", { customer: "c", weightKg: "1", pieces: 1 }); // wrong: a bigint
const rows = await client.events(ShipmentDeparted);
rows[0]?.fields.nowhere; // wrong: no such field
const customers: Customer[] = await client.rows(Customer);
customers[0]?.name.length; // wrong: the name may be absent
export {};
