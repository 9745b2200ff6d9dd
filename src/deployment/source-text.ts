/**
 * The code of a JavaScript or TypeScript text: comments, the insides of strings and of regular expressions are blanks,
 * everything else stays at its index. Enough to find reads of variables; no parser is loaded for that.
 */
export function codeOf(source: string): string {
  const code = source.split("");
  const blank = (from: number, to: number): void => {
    for (let at = from; at < Math.min(to, code.length); at += 1) if (code[at] !== "\n") code[at] = " ";
  };
  // For each open `${` of a template: how many braces are open inside it.
  const templates: number[] = [];
  let at = 0;
  const template = (from: number): number => {
    const end = endOfTemplate(source, from);
    blank(from, end);
    if (source.startsWith("${", end)) {
      templates.push(0);
      return end + 2;
    }
    return end + 1;
  };
  while (at < source.length) {
    const char = source[at] ?? "";
    const depth = templates.at(-1);
    if (source.startsWith("//", at)) {
      const end = indexOr(source, "\n", at);
      blank(at, end);
      at = end;
    } else if (source.startsWith("/*", at)) {
      const end = indexOr(source, "*/", at + 2);
      blank(at, end + 2);
      at = end + 2;
    } else if (char === '"' || char === "'") {
      const end = endOfString(source, at);
      blank(at + 1, end);
      at = end + 1;
    } else if (char === "`") {
      at = template(at + 1);
    } else if (char === "/" && startsRegex(source, at)) {
      const end = endOfRegex(source, at);
      blank(at + 1, end);
      at = end + 1;
    } else if (depth !== undefined && (char === "{" || char === "}")) {
      if (char === "}" && depth === 0) {
        templates.pop();
        at = template(at + 1);
      } else {
        templates[templates.length - 1] = depth + (char === "{" ? 1 : -1);
        at += 1;
      }
    } else {
      at += 1;
    }
  }
  return code.join("");
}

/** The line of an index, from 1. */
export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

function indexOr(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at === -1 ? text.length : at;
}

/** The closing quote, or the quote itself where the line ends first: then it is an apostrophe in JSX text. */
function endOfString(source: string, open: number): number {
  const quote = source[open];
  for (let at = open + 1; at < source.length && source[at] !== "\n"; at += 1) {
    if (source[at] === "\\") at += source.startsWith("\\\r\n", at) ? 2 : 1;
    else if (source[at] === quote) return at;
  }
  return open;
}

/** The closing backtick or the `$` of the next `${`. */
function endOfTemplate(source: string, from: number): number {
  for (let at = from; at < source.length; at += 1) {
    if (source[at] === "\\") at += 1;
    else if (source[at] === "`" || source.startsWith("${", at)) return at;
  }
  return source.length;
}

/** A slash divides after a value; after an operator, an opening bracket or a keyword it begins a regular expression. */
function startsRegex(source: string, at: number): boolean {
  const before = source.slice(Math.max(0, at - 40), at).trimEnd();
  if (before === "") return true;
  if (/\b(return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield)$/.test(before)) return true;
  // Not after a lone < or >: that is the end of a JSX element.
  return /(?:[(,=:[!&|?{};+\-*%~^]|=>)$/.test(before) && endOfRegex(source, at) > at;
}

/** The closing slash; the opening one where the line ends first. */
function endOfRegex(source: string, open: number): number {
  let inClass = false;
  for (let at = open + 1; at < source.length && source[at] !== "\n"; at += 1) {
    const char = source[at];
    if (char === "\\") at += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at;
  }
  return open;
}
