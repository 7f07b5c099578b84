// What a user says to the module, and the names by which Nest injects what comes of it.

import type { ConfigurableModuleAsyncOptions, ConfigurableModuleCls, ExecutionContext } from "@nestjs/common";
import { ConfigurableModuleBuilder } from "@nestjs/common";
import type { Provider } from "../../core/types.ts";
import type { GuardOptions, NoLimiter, SeveralLimiters } from "../../http/index.ts";
import type { NestLimiter } from "./limiters.ts";

/** What all limiters of the application share. */
export interface TrypemaSharedOptions extends Omit<GuardOptions<ExecutionContext>, "provider" | "respond" | "handler"> {
  /**
   * Local, Redis or Hybrid. Close it yourself: closing the application doesn't. Default: a Local provider of the
   * module's own, with a window of a minute, which the module closes.
   */
  readonly provider?: Provider;
}

/**
 * The limiter of every handler that has the guard, or several `limiters`, which are asked as one, or none if only
 * decorators limit. Their functions get a request whose `raw` is Nest's `ExecutionContext`: see `requestOf`.
 */
export type TrypemaModuleOptions = TrypemaSharedOptions &
  (
    | (NestLimiter & { readonly limiters?: undefined })
    | SeveralLimiters<ExecutionContext>
    | (NoLimiter & { readonly limiters?: undefined })
  );

/** A class with this method gives `forRootAsync` its options, by `useClass` or `useExisting`. */
export interface TrypemaOptionsFactory {
  /** Makes the options of the module. */
  createTrypemaOptions(): Promise<TrypemaModuleOptions> | TrypemaModuleOptions;
}

const built = new ConfigurableModuleBuilder<TrypemaModuleOptions>({ moduleName: "Trypema" })
  .setClassMethodName("forRoot")
  .setFactoryMethodName("createTrypemaOptions")
  .build();

/** The class that Nest makes modules with options of. */
export const ConfigurableModule: ConfigurableModuleCls<TrypemaModuleOptions, "forRoot", "createTrypemaOptions"> =
  built.ConfigurableModuleClass;

/** What the module's options are injected by. */
export const TRYPEMA_OPTIONS: string | symbol = built.MODULE_OPTIONS_TOKEN;

/** What `forRootAsync` takes: `imports`, `inject` and `useFactory`, or `useClass`, or `useExisting`. */
export type TrypemaModuleAsyncOptions = ConfigurableModuleAsyncOptions<TrypemaModuleOptions, "createTrypemaOptions">;

/**
 * The token by which Nest injects the provider of the limits: `@Inject(TRYPEMA_PROVIDER) provider: Provider`. A test
 * overrides it: `overrideProvider(TRYPEMA_PROVIDER).useValue(createLocalProvider({ clock }))`.
 */
export const TRYPEMA_PROVIDER: symbol = Symbol.for("trypema.nestjs.provider");
