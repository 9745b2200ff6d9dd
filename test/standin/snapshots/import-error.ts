/**
 * Why an import failed: the text is all that the wire shows (contract 7.3). The texts of the first table there stand
 * alone, those of the second follow `Hit an error while importing:`.
 */
export class ImportError extends Error {
  static prefixed(text: string): ImportError {
    return new ImportError(`Hit an error while importing:\n${text}`);
  }

  static badRow(row: number, why: string): ImportError {
    return new ImportError(`Row ${row} wasn't valid JSON: ${why}`);
  }

  static badValue(row: number, why: string): ImportError {
    return new ImportError(`Row ${row} wasn't a valid Convex value: ${why}`);
  }
}

/** Canceled by a request; the state says so already. */
export class ImportCanceled extends Error {}

/** A failure of the system, not of the data: tried again a few times (contract 7.3). */
export class SystemFailure extends Error {}

/** `Identifier bad-name has invalid character '-': ...`, or undefined when it is an identifier. */
export function identifierProblem(name: string): string | undefined {
  const rule = "Identifiers can only contain alphanumeric characters or underscores";
  if (name === "") return "Identifier cannot be empty";
  if (!/^[A-Za-z_]/.test(name))
    return `Invalid first character '${name[0]}' in ${name}: Identifiers must start with an alphabetic character or underscore`;
  const bad = /[^A-Za-z0-9_]/u.exec(name);
  return bad === null ? undefined : `Identifier ${name} has invalid character '${bad[0]}': ${rule}`;
}
