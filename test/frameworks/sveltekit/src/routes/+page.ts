/** Asks a route of the same app, which needs no connection while the server renders. */
export async function load({ fetch }: { fetch: typeof globalThis.fetch }): Promise<{ hello: string }> {
  return { hello: await (await fetch("/hello")).text() };
}
