// Code under test logs as an action does, and a runner would obey it in our own CI: masks, warnings, errors. So no line
// that a runner takes for a command leaves a test's process by `stdout`; tests that look at such lines read a child's.
const write = process.stdout.write.bind(process.stdout);

function withoutCommands(text: string): string {
  return text.replace(/^[ \t]*::.*(?:\r?\n|$)/gm, "");
}

process.stdout.write = ((chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
  if (typeof chunk !== "string" || !chunk.includes("::")) return Reflect.apply(write, process.stdout, [chunk, ...rest]);
  return Reflect.apply(write, process.stdout, [withoutCommands(chunk), ...rest]);
}) as typeof process.stdout.write;
