/** Foreign JSON does not have the form that it must have. `path` names the field: `snapshot.tables[3].digest`. */
export class FieldFault extends Error {
  constructor(path: string, problem: string) {
    super(`${path === "" ? "the whole" : path} ${problem}`);
    this.name = "FieldFault";
  }
}

const LONGEST_TEXT = 8192;

/** One value of foreign JSON with its place; every method throws a `FieldFault` that names it. */
export class Field {
  readonly #value: unknown;
  readonly path: string;

  constructor(value: unknown, path = "") {
    this.#value = value;
    this.path = path;
  }

  fault(problem: string): FieldFault {
    return new FieldFault(this.path, problem);
  }

  get isNull(): boolean {
    return this.#value === null;
  }

  get isAbsent(): boolean {
    return this.#value === undefined;
  }

  /** A member of an object. */
  at(name: string): Field {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.fault("is no object");
    const member = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    return new Field(member, this.path === "" ? name : `${this.path}.${name}`);
  }

  /** The items of a list. */
  items(most: number): Field[] {
    if (!Array.isArray(this.#value)) throw this.fault(this.isAbsent ? "is missing" : "is no list");
    if (this.#value.length > most) throw this.fault(`has more than ${most} items`);
    return this.#value.map((item, index) => new Field(item, `${this.path}[${index}]`));
  }

  /** The members of an object. */
  members(): (readonly [name: string, value: Field])[] {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.fault("is no object");
    return Object.entries(value).map(([name, member]) => [name, new Field(member, `${this.path}.${name}`)]);
  }

  /** A text of any length. */
  content(): string {
    if (typeof this.#value !== "string") throw this.fault(this.isAbsent ? "is missing" : "is no text");
    return this.#value;
  }

  text(form?: RegExp): string {
    const value = this.content();
    if (value.length > LONGEST_TEXT) throw this.fault(`is longer than ${LONGEST_TEXT} characters`);
    if (form !== undefined && !form.test(value)) throw this.fault("has not the form that it must have");
    return value;
  }

  choice<T extends string>(choices: readonly T[]): T {
    const value = this.text();
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.fault(`is none of ${choices.join(", ")}`);
    return found;
  }

  /** A whole number from 0 on. */
  count(): number {
    const value = this.#value;
    if (typeof value !== "number") throw this.fault(this.isAbsent ? "is missing" : "is no number");
    if (!Number.isSafeInteger(value) || value < 0) throw this.fault("is no whole number from 0 on");
    return value;
  }

  boolean(): boolean {
    if (typeof this.#value !== "boolean") throw this.fault(this.isAbsent ? "is missing" : "is neither true nor false");
    return this.#value;
  }

  /** As `Date` writes it: `2026-11-22T03:00:04.000Z`. */
  time(): string {
    const text = this.text(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/);
    if (Number.isNaN(Date.parse(text))) throw this.fault("is no time");
    return text;
  }
}
