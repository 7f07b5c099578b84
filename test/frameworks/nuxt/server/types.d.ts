/** Nitro puts it there. */
declare var $fetch: (path: string) => Promise<unknown>;
