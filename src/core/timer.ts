declare const Deno: { unrefTimer?(handle: unknown): void } | undefined;

/**
 * Edge isolates (Cloudflare Workers) bind each timer, and each promise, to the request that makes it. It ends
 * with its request, fired or not, and must not wake another one; so there no timer serves several requests.
 */
export const TIMERS_END_WITH_REQUESTS = isCloudflareWorker();

/**
 * The user agent of a worker says so from the compatibility date 2022-03-21 on. Before that, workers are known by
 * `WebSocketPair`, which no other runtime has.
 */
function isCloudflareWorker(): boolean {
  const scope = globalThis as { navigator?: { userAgent?: string }; WebSocketPair?: unknown };
  return scope.navigator?.userAgent === "Cloudflare-Workers" || typeof scope.WebSocketPair === "function";
}

/**
 * Runs something when the event loop has gone through what it is busy with. Taken when the module is loaded, because
 * tests replace `setImmediate` later, and what waits would wait for ever then.
 */
export const atTurnsEnd: (run: () => void) => unknown =
  (globalThis as { setImmediate?: (run: () => void) => unknown }).setImmediate?.bind(globalThis) ??
  ((run) => void Promise.resolve().then(run));

/**
 * A timer that keeps nothing alive: not the process, and not the async context of the call that starts it. A
 * runtime's timer holds the context that it is made in, a request's perhaps, and every timer that is made in
 * its turn does. So {@link start} resolves a promise, and the reaction to that makes the runtime's timer: a reaction
 * has the context in which this object was made. This timer never fires where {@link TIMERS_END_WITH_REQUESTS}.
 */
export class BackgroundTimer {
  readonly #run: () => void;
  #release: (delayMs: number) => void = () => {};
  #handle: ReturnType<typeof setTimeout> | undefined;
  #started = false;
  /** What has made the runtime's timer, which tests replace for a while. */
  #setTimeout: typeof setTimeout | undefined;
  #stopped = false;

  constructor(run: () => void) {
    this.#run = run;
    if (!TIMERS_END_WITH_REQUESTS) this.#arm();
  }

  /**
   * Runs once, `delayMs` from now; does nothing when it is started already. A runtime's timer may never fire that was
   * made by false timers, or before they came. So it is made anew where `setTimeout` is another one than then.
   */
  start(delayMs: number): void {
    if (this.#started && (this.#setTimeout === undefined || this.#setTimeout === globalThis.setTimeout)) return;
    this.#started = true;
    this.#setTimeout = undefined;
    this.#release(delayMs);
  }

  /** Stops the timer for good. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  #arm(): void {
    const released = new Promise<number>((resolve) => {
      this.#release = resolve;
    });
    released.then((delayMs) => {
      if (this.#stopped) return;
      this.#arm();
      this.#setTimeout = globalThis.setTimeout;
      const handle: unknown = setTimeout(() => {
        // The timer has been started anew.
        if (this.#handle !== handle) return;
        this.#started = false;
        this.#run();
      }, delayMs);
      unref(handle);
      this.#handle = handle as ReturnType<typeof setTimeout>;
    });
  }
}

/** Node and Bun have an object here; Deno an object or a number; browsers a number, and no process to keep alive. */
function unref(handle: unknown): void {
  if (typeof handle === "object") (handle as { unref?: () => void }).unref?.();
  else if (typeof Deno !== "undefined") Deno.unrefTimer?.(handle);
}
