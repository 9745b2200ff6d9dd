/** What a thread or child process of the bundle is to be (entry.ts): worker modules run by being imported. */
export async function play(role: string): Promise<void> {
  switch (role) {
    case "generate_key": {
      const { printKey } = await import("./generate-key.ts");
      printKey(process.argv.slice(2));
      return;
    }
    case "isolate":
      await import("./runtime/thread.ts");
      return;
    default:
      throw new Error(`No role ${role} in the stand-in's bundle.`);
  }
}
