// A thread, started by src/snapshot/inspect-aside.ts.
import { parentPort, workerData } from "node:worker_threads";
import { answerInspection, type InspectionTask } from "../snapshot/inspector-thread.ts";

if (parentPort === null) throw new Error("this is a thread of the action, not a program");
await answerInspection(workerData as InspectionTask, parentPort);
