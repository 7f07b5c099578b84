import { type DynamicModule, Global, Inject, Injectable, Module, type Type } from "@nestjs/common";
import { MetadataScanner, ModulesContainer } from "@nestjs/core";
import { TrypemaError } from "../../core/errors.ts";
import type { Provider } from "../../core/types.ts";
import { createLocalProvider } from "../../local/provider.ts";
import { marksOf } from "./decorators.ts";
import { RateLimitGuard } from "./guard.ts";
import {
  ConfigurableModule,
  TRYPEMA_OPTIONS,
  TRYPEMA_PROVIDER,
  type TrypemaModuleAsyncOptions,
  type TrypemaModuleOptions,
} from "./options.ts";
import { RateLimits } from "./rate-limits.ts";

/** The providers that modules have made themselves. */
const ownProviders = new WeakSet<Provider>();

function ownProvider(): Provider {
  const provider = createLocalProvider();
  ownProviders.add(provider);
  return provider;
}

/** What is done once, when the application starts and when it ends. */
class Lifecycle {
  readonly #limits: RateLimits;
  readonly #modules: ModulesContainer;

  constructor(limits: RateLimits, modules: ModulesContainer) {
    this.#limits = limits;
    this.#modules = modules;
  }

  /**
   * Makes the guards of all handlers that have decorators, so that a mistake in one stops the start.
   *
   * @throws {TrypemaError} for such a mistake, and where the module was imported with options twice
   */
  onModuleInit(): void {
    const modules = [...this.#modules.values()];
    if (modules.filter((module) => module.providers.has(RateLimits)).length > 1) {
      throw new TrypemaError(
        "INVALID_OPTION",
        "TrypemaModule: forRoot was called more than once, so each request would count more than once; call it " +
          "only in the root module, because the module is global",
      );
    }
    for (const { controllers, providers } of modules) {
      for (const { metatype } of [...controllers.values(), ...providers.values()]) {
        if (typeof metatype === "function" && metatype.prototype) this.#checkHandlersOf(metatype as Type);
      }
    }
  }

  #checkHandlersOf(controller: Type): void {
    const isMarked = marksOf(controller).length > 0;
    for (const name of new MetadataScanner().getAllMethodNames(controller.prototype)) {
      const handler = controller.prototype[name];
      if (isMarked || marksOf(handler).length > 0) this.#limits.guardOf(controller, handler);
    }
  }

  /** By then all requests have been answered. */
  async onApplicationShutdown(): Promise<void> {
    const { provider } = this.#limits;
    if (ownProviders.has(provider)) await provider.close();
  }
}

Injectable()(Lifecycle);
Inject(RateLimits)(Lifecycle, undefined, 0);
Inject(ModulesContainer)(Lifecycle, undefined, 1);

/**
 * Rate limits for a Nest application. Import it once, in the root module: what it provides is global. It limits nothing
 * until a {@link RateLimitGuard} stands before a handler.
 *
 * `imports: [TrypemaModule.forRoot({ limit: 60, windowMs: minutes(1) })]`, and
 * `providers: [{ provide: APP_GUARD, useExisting: RateLimitGuard }]` for all handlers.
 */
export class TrypemaModule extends ConfigurableModule {
  /**
   * With options that are known now.
   *
   * @throws when the application starts: {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`,
   *   `CAPACITY_BELOW_ONE`
   */
  static override forRoot(options: TrypemaModuleOptions = {}): DynamicModule {
    // biome-ignore lint/complexity/noThisInStatic: the method makes a module of its `this`, which is this class.
    return super.forRoot(options);
  }

  /** With options that something else gives: `{ imports, inject, useFactory }`, `{ useClass }` or `{ useExisting }`. */
  static override forRootAsync(options: TrypemaModuleAsyncOptions): DynamicModule {
    // biome-ignore lint/complexity/noThisInStatic: the method makes a module of its `this`, which is this class.
    return super.forRootAsync(options);
  }
}

Module({
  providers: [
    {
      provide: TRYPEMA_PROVIDER,
      useFactory: ({ provider }: TrypemaModuleOptions) => provider ?? ownProvider(),
      inject: [TRYPEMA_OPTIONS],
    },
    RateLimits,
    RateLimitGuard,
    Lifecycle,
  ],
  exports: [TRYPEMA_PROVIDER, RateLimits, RateLimitGuard],
})(TrypemaModule);
Global()(TrypemaModule);
