// A library in a bundle of its own: see src/system/libraries.ts.
export { createConnection } from "mysql2/promise";
