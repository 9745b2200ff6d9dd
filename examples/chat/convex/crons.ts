import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const crons = cronJobs();
crons.interval("tidy rooms", { hours: 1 }, internal.messages.tidy, {});

export default crons;
