import { ActionError } from "../runner/errors.ts";

/** Where previews are shown among a repository's deployments. */
export type EnvironmentChoice =
  | { readonly kind: "none" }
  /** One for all previews: environments pile up, and only administrators can remove them. */
  | { readonly kind: "shared"; readonly name: string }
  | { readonly kind: "per-preview" };

/** Not just `preview`: other hosts use that name, in any case, and some retire whatever they find there. */
export const SHARED_ENVIRONMENT = "convex-preview";

/**
 * Reads `github-environment`.
 * @throws ActionError `input-invalid`
 */
export function parseEnvironment(value: string | undefined): EnvironmentChoice {
  const name = value ?? SHARED_ENVIRONMENT;
  if (name === "none" || name === "per-preview") return { kind: name };
  if (name.length <= 255 && !/[\p{Cc}'"`\\,;]/u.test(name)) return { kind: "shared", name };
  throw new ActionError(
    "input-invalid",
    `github-environment: ${JSON.stringify(value)} is not accepted.`,
    "Allowed: none, per-preview, or a name of at most 255 characters without quotes, commas, semicolons and backslashes.",
  );
}

/** The environment of one preview; undefined with `none`. */
export function environmentOf(choice: EnvironmentChoice, preview: string): string | undefined {
  switch (choice.kind) {
    case "none":
      return undefined;
    case "shared":
      return choice.name;
    case "per-preview":
      return `${SHARED_ENVIRONMENT}-${preview}`;
  }
}
