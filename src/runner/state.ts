import { getState, saveState } from "@actions/core";

/** One typed value that the main step leaves for the post step; the last one saved counts. */
export interface State<T> {
  save(value: T): void;
  /** Undefined when the main step saved nothing, or nothing that can be read. */
  load(): T | undefined;
}

export function stateOf<T>(name: string, isT: (value: unknown) => value is T): State<T> {
  return {
    save: (value) => saveState(name, JSON.stringify(value)),
    load() {
      const text = getState(name);
      if (text === "") return undefined;
      try {
        const value: unknown = JSON.parse(text);
        return isT(value) ? value : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
