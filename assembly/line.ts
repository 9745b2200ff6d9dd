/** The line that is being read: what was found in it so far. */
export class Line {
  /** See src/snapshot/line-flags.ts. */
  static flags: i32 = 0;
  /** Where the top-level `_id` is, between its quotes; 0 when there is none. */
  static idStart: usize = 0;
  static idEnd: usize = 0;
  /** Table number of `_id`, 0 when it is not valid. */
  static idTable: f64 = 0;
  static timeSeen: bool = false;
  /** Whether the last number had neither point nor exponent. */
  static integer: bool = false;
  /** Value of the system field that is being read, else 0. */
  static systemValue: usize = 0;

  static begin(): void {
    Line.flags = 0;
    Line.idStart = 0;
    Line.idEnd = 0;
    Line.idTable = 0;
    Line.timeSeen = false;
    Line.integer = false;
    Line.systemValue = 0;
  }
}
