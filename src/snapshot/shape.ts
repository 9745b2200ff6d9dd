/**
 * The shapes in `generated_schema.jsonl` of releases before 2026-03-11 (contract 7.2): only whether one is readable, and
 * whether it says of something that its type is unknown.
 */
const SCALARS = "never unknown null int64 float64 normalfloat64 inf -inf -0 NaN boolean string bytes".split(" ");
/** `float64` holds NaN or infinities; all others are `normalfloat64`. */
const EXACT = "unknown int64 float64 inf -inf -0 NaN bytes".split(" ");
const TOKEN = /\s*("(?:[^"\\]|\\.)*"|[A-Za-z0-9_-]+|[{}<>,:|?])/y;

export interface Shape {
  /** Somewhere the type is `unknown`. */
  readonly unknown: boolean;
  /** Somewhere the type is one whose values are no plain JSON. */
  readonly exact: boolean;
  /** The shape of a table without documents. */
  readonly never: boolean;
}

/** Undefined when it is no shape. */
export function readShape(text: string): Shape | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  const reader = new ShapeReader(tokens);
  if (!reader.union(0) || !reader.done) return undefined;
  return {
    unknown: tokens.includes("unknown"),
    exact: tokens.some((token) => EXACT.includes(token)),
    never: text.trim() === "never",
  };
}

function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const length = text.trimEnd().length;
  while (TOKEN.lastIndex < length) {
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) return undefined;
    tokens.push(token);
  }
  return tokens;
}

const DEEPEST = 200;

class ShapeReader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get done(): boolean {
    return this.#at === this.#tokens.length;
  }

  union(depth: number): boolean {
    if (depth > DEEPEST) return false;
    do {
      if (!this.#single(depth)) return false;
    } while (this.#take("|"));
    return true;
  }

  #single(depth: number): boolean {
    const token = this.#next();
    if (token === "{") return this.#object(depth);
    if (token === "array") return this.#take("<") && this.union(depth + 1) && this.#take(">");
    if (token === "id") return this.#take("<") && /^\d+$/.test(this.#next()) && this.#take(">");
    if (token === "record") {
      return this.#take("<") && this.union(depth + 1) && this.#take(",") && this.union(depth + 1) && this.#take(">");
    }
    return token === "field_name" || token.startsWith('"') || SCALARS.includes(token);
  }

  #object(depth: number): boolean {
    if (this.#take("}")) return true;
    for (;;) {
      if (!this.#next().startsWith('"')) return false;
      this.#take("?");
      if (!this.#take(":") || !this.union(depth + 1)) return false;
      if (this.#take("}")) return true;
      if (!this.#take(",")) return false;
      if (this.#take("}")) return true;
    }
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? "";
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }
}
