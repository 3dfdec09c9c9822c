/** What a field of type `json` holds. A whole number that a `number` cannot hold is a `bigint`; of
 *  one with a fraction the digits behind the seventeenth are lost. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/** Valid times from the first up to, and without, the second; open ends are `null`. */
export interface Period { from: string | null; until: string | null }

/** How a value stands in an answer, and here:
 *  `int` is a `bigint`; `decimal` the text of its digits; `time`, `date`, `duration` and `id` are
 *  texts as in a question, times to the microsecond; `bytes` are base64; `float` is a `number`. */
type Kind =
  | "bool" | "int" | "decimal" | "float" | "text" | "bytes" | "time" | "date" | "duration" | "id"
  | "period" | "json" | { readonly of: Kind };

/** A field: its name in the database, and what it holds. */
interface Field { readonly name: string; readonly kind: Kind }
type Fields<T> = { readonly [K in keyof Required<T>]: Field };

/** A type of event. */
export interface EventType<T> {
  readonly root: string;
  readonly type: string;
  readonly query: string;
  readonly fields: Fields<T>;
}

/** A table. */
export interface TableType<T> {
  readonly table: string;
  readonly query: string;
  readonly fields: Fields<T>;
}

/** An event as it is stored, with what every event has. */
export interface EventRow<T> { id: string; key: string; at: string; fields: T }

/** What else an event may say. */
export interface EventOptions {
  /** When it happened, RFC 3339; when it is recorded, if nothing is said. */
  at?: string;
  /** Sent again with the same id, it is recorded once. */
  id?: string;
}

/** An event that is yet to be appended, as text of JSON. */
export interface NewEvent { readonly cloudEvent: string }

/** What an append answers. */
export interface Appended {
  outcome: "recorded" | "already_applied" | "nothing";
  events: { id: string; seq: number }[];
  vv: string;
}

/** An answer to a question: a row has its columns by name. */
export interface Answer {
  columns: { name: string; type: string }[];
  rows: { [name: string]: Json }[];
}

/** A server refused: `type` says why, for ever in the same words. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    title: string,
    readonly detail: string,
    readonly document: Json,
  ) {
    super(detail === "" ? title : `${title}: ${detail}`);
    this.name = "Problem";
  }
}

export interface ClientOptions {
  /** Shown to the server. */
  token?: string;
  /** Another `fetch`. */
  fetch?: typeof fetch;
  /** What events say that they come from. */
  source?: string;
}

/** An event of a type, of a key. */
export function newEvent<T>(
  type: EventType<T>,
  key: string,
  fields: T,
  options: EventOptions = {},
): NewEvent {
  const data = members(Object.entries(type.fields) as [keyof T, Field][], (name) => fields[name]);
  const attributes: [string, string | undefined][] = [
    ["specversion", "1.0"],
    ["id", options.id ?? crypto.randomUUID()],
    ["type", type.type],
    ["root", type.root],
    ["subject", key],
    ["time", options.at],
    ["datacontenttype", "application/json"],
  ];
  const said = attributes.filter(([, value]) => value !== undefined);
  const texts = said.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return { cloudEvent: `${texts.join(",")},"data":${data}` };
}

/** A database of a server, by its address: `http://HOST:PORT/db/NAME`. */
export class Client {
  constructor(private readonly url: string, private readonly options: ClientOptions = {}) {}

  /** Records events: all of them, or none. */
  async append(...events: readonly NewEvent[]): Promise<Appended> {
    const source = JSON.stringify(this.options.source ?? "/typescript");
    const texts = events.map((event) => `{"source":${source},${event.cloudEvent}}`);
    const body = `[${texts.join(",")}]`;
    return plain(await this.post("/e", "application/cloudevents-batch+json", body)) as unknown as Appended;
  }

  /** All events of a type, in the order of their ids. */
  async events<T>(type: EventType<T>): Promise<EventRow<T>[]> {
    const rows = await this.rowsOf(type.query, {});
    return rows.map((row) => ({
      id: read(row["id"], "id") as string,
      key: read(row["key"], "text") as string,
      at: read(row["at"], "time") as string,
      fields: readFields(type.fields, row["fields"]),
    }));
  }

  /** All rows that a table has now, in the order of their keys. */
  async rows<T>(table: TableType<T>): Promise<T[]> {
    return this.askAs(table, table.query);
  }

  /** The rows of a question that has the fields of a type, or of a table, as its columns. */
  async askAs<T>(
    type: { readonly fields: Fields<T> },
    query: string,
    parameters: { [name: string]: Json } = {},
  ): Promise<T[]> {
    const rows = await this.rowsOf(query, parameters);
    return rows.map((row) => readFields(type.fields, row));
  }

  /** Any question. */
  async ask(query: string, parameters: { [name: string]: Json } = {}): Promise<Answer> {
    const body = write({ query, parameters }, "json");
    return plain(await this.post("/q", "application/json", body)) as unknown as Answer;
  }

  private async rowsOf(query: string, parameters: { [name: string]: Json }): Promise<Members[]> {
    const body = write({ query, parameters }, "json");
    const answer = await this.post("/q", "application/json", body) as Members;
    return answer["rows"] as Members[];
  }

  private async post(path: string, type: string, body: string): Promise<Raw> {
    const headers: { [name: string]: string } = { "content-type": type };
    headers["accept"] = "application/json";
    if (this.options.token !== undefined) headers["authorization"] = `Bearer ${this.options.token}`;
    const send = this.options.fetch ?? fetch;
    const response = await send(this.url + path, { method: "POST", headers, body });
    const text = await response.text();
    if (response.ok) return parse(text);
    let document: Json = null;
    try { document = plain(parse(text)); } catch { /* No server of Laterbase. */ }
    const said = (name: string): string => {
      const value = document !== null && typeof document === "object" && !Array.isArray(document)
        ? document[name] : undefined;
      return typeof value === "string" ? value : "";
    };
    const title = said("title") || `the server answered ${response.status}`;
    const detail = said("text") || said("detail");
    throw new Problem(response.status, said("type"), title, detail, document);
  }
}

/** JSON as it was sent: a number is its digits, so that none is lost. */
class Digits { constructor(readonly text: string) {} }
type Raw = null | boolean | string | Digits | Raw[] | Members;
interface Members { [name: string]: Raw }

function parse(text: string): Raw {
  let at = 0;
  const wrong = () => new SyntaxError(`this is no JSON, at ${at}`);
  const blank = () => { while (at < text.length && " \t\r\n".includes(text.charAt(at))) at += 1; };
  const taken = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) throw wrong();
    at = pattern.lastIndex;
    return found[0];
  };
  const string = (): string => JSON.parse(taken(/"(?:[^"\\]|\\.)*"/y)) as string;
  const list = (close: string, item: () => void): void => {
    at += 1;
    blank();
    if (text.charAt(at) === close) { at += 1; return; }
    for (;;) {
      item();
      blank();
      const next = text.charAt(at);
      at += 1;
      if (next === close) return;
      if (next !== ",") throw wrong();
    }
  };
  const value = (): Raw => {
    blank();
    switch (text.charAt(at)) {
      case '"': return string();
      case "[": {
        const values: Raw[] = [];
        list("]", () => { values.push(value()); });
        return values;
      }
      case "{": {
        const found: Members = Object.create(null) as Members;
        list("}", () => {
          blank();
          const name = string();
          blank();
          taken(/:/y);
          found[name] = value();
        });
        return found;
      }
      case "t": taken(/true/y); return true;
      case "f": taken(/false/y); return false;
      case "n": taken(/null/y); return null;
      default: return new Digits(taken(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y));
    }
  };
  const whole = value();
  blank();
  if (at !== text.length) throw wrong();
  return whole;
}

/** A value of no declared type. */
function plain(raw: Raw): Json {
  if (raw instanceof Digits) {
    const number = Number(raw.text);
    return Number.isSafeInteger(number) || !/^-?\d+$/.test(raw.text) ? number : BigInt(raw.text);
  }
  if (Array.isArray(raw)) return raw.map(plain);
  if (raw === null || typeof raw !== "object") return raw;
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, plain(value)]));
}

function read(raw: Raw | undefined, kind: Kind): unknown {
  if (raw === undefined || raw === null) return null;
  if (typeof kind === "object") return (raw as Raw[]).map((element) => read(element, kind.of));
  switch (kind) {
    case "int": return BigInt((raw as Digits).text);
    case "decimal": return raw instanceof Digits ? raw.text : raw;
    case "float":
      if (raw instanceof Digits) return Number(raw.text);
      return raw === "-inf" ? -Infinity : Infinity;
    default: return plain(raw);
  }
}

function readFields<T>(fields: Fields<T>, raw: Raw | undefined): T {
  const row = raw as Members;
  const entries = Object.entries(fields) as [string, Field][];
  const member = ([name, field]: [string, Field]) => [name, read(row[field.name], field.kind)];
  return Object.fromEntries(entries.map(member)) as T;
}

/** JSON, with all digits. */
function write(value: unknown, kind: Kind): string {
  if (value === null || value === undefined) return "null";
  if (typeof kind === "object") {
    return `[${(value as unknown[]).map((element) => write(element, kind.of)).join(",")}]`;
  }
  if (typeof value === "bigint") return value.toString();
  if (kind === "decimal") return JSON.stringify(String(value));
  if (typeof value === "number" && !Number.isFinite(value)) return value < 0 ? '"-inf"' : '"inf"';
  if (kind !== "json" || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((element) => write(element, "json")).join(",")}]`;
  const entries = Object.entries(value as { [name: string]: Json });
  const texts = entries.map(([name, of]) => `${JSON.stringify(name)}:${write(of, "json")}`);
  return `{${texts.join(",")}}`;
}

function members<T>(fields: [keyof T, Field][], value: (name: keyof T) => unknown): string {
  const said = fields.filter(([name]) => value(name) !== undefined && value(name) !== null);
  const text = ([name, field]: [keyof T, Field]) =>
    `${JSON.stringify(field.name)}:${write(value(name), field.kind)}`;
  const texts = said.map(text);
  return `{${texts.join(",")}}`;
}
