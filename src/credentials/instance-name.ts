/** INSTANCE_NAME of a backend that was given none (contract 1.3). */
export const DEFAULT_INSTANCE_NAME = "convex-self-hosted";
