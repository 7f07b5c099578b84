// What the tests have in common: they start real applications, and ask them as clients do.

import { deepStrictEqual } from "node:assert/strict";
import type { INestApplication, LoggerService, Type } from "@nestjs/common";
import { type AbstractHttpAdapter, NestFactory } from "@nestjs/core";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { Test } from "@nestjs/testing";

export const PLATFORMS: Record<string, () => AbstractHttpAdapter> = {
  Express: () => new ExpressAdapter(),
  Fastify: () => new FastifyAdapter(),
};

/** The errors that Nest has logged. */
export class Log implements LoggerService {
  readonly errors: string[] = [];
  log() {}
  warn() {}
  error(...told: unknown[]) {
    this.errors.push(told.map((one) => (one instanceof Error ? one.message : String(one))).join(" "));
  }
}

export interface Served {
  readonly app: INestApplication;
  readonly url: string;
  readonly log: Log;
  /** The status of a request, and what else of its answer is asked for. */
  get(path: string, init?: RequestInit): Promise<Response>;
  statuses(path: string, count: number, init?: RequestInit): Promise<number[]>;
}

/** Starts an application, has it used, and closes it. */
export async function serving(
  module: unknown,
  use: (served: Served) => unknown,
  adapter: () => AbstractHttpAdapter = PLATFORMS.Express!,
  prepare: (app: INestApplication) => unknown = () => undefined,
): Promise<void> {
  const log = new Log();
  const app = await NestFactory.create(module as Type, adapter(), { logger: log, abortOnError: false });
  try {
    await use(await listen(app, log, prepare));
  } finally {
    await app.close();
  }
}

/** The same for a controller and what a testing module is made of. */
export async function servingModule(
  metadata: Parameters<typeof Test.createTestingModule>[0],
  use: (served: Served) => unknown,
  adapter: () => AbstractHttpAdapter = PLATFORMS.Express!,
  change: (builder: ReturnType<typeof Test.createTestingModule>) => unknown = () => undefined,
  prepare: (app: INestApplication) => unknown = () => undefined,
): Promise<void> {
  const log = new Log();
  const builder = Test.createTestingModule(metadata).setLogger(log);
  change(builder);
  const app = (await builder.compile()).createNestApplication(adapter(), { logger: log });
  try {
    await use(await listen(app, log, prepare));
  } finally {
    await app.close();
  }
}

async function listen(app: INestApplication, log: Log, prepare: (app: INestApplication) => unknown): Promise<Served> {
  await prepare(app);
  await app.listen(0, "127.0.0.1");
  const url = (await app.getUrl()).replace("[::1]", "127.0.0.1");
  const get = (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, init);
  return {
    app,
    url,
    log,
    get,
    async statuses(path, count, init) {
      const statuses: number[] = [];
      for (let i = 0; i < count; i++) statuses.push((await get(path, init)).status);
      return statuses;
    },
  };
}

export function same(got: unknown, expected: unknown): void {
  deepStrictEqual(got, expected);
}
