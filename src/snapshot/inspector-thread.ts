import type { MessagePort } from "node:worker_threads";
import { messageOf, systemCode } from "../runner/errors.ts";
import { inspectSnapshot } from "./inspect.ts";
import type { Inspection } from "./inspection.ts";

/** What a thread is started with. */
export interface InspectionTask {
  readonly path: string;
  readonly sha256: string | undefined;
}

/** What it says, once. An error loses its code on its way between threads, so that goes beside it. */
export type InspectionAnswer =
  | { readonly inspection: Inspection }
  | {
      readonly failure: {
        readonly message: string;
        readonly stack: string | undefined;
        readonly code: string | undefined;
      };
    };

/** The thread's side of `inspectAside`. */
export async function answerInspection({ path, sha256 }: InspectionTask, port: MessagePort): Promise<void> {
  let answer: InspectionAnswer;
  try {
    answer = { inspection: await inspectSnapshot(path, sha256 === undefined ? {} : { sha256 }) };
  } catch (error) {
    const stack = error instanceof Error ? error.stack : undefined;
    answer = { failure: { message: messageOf(error), stack, code: systemCode(error) } };
  }
  port.postMessage(answer);
}
