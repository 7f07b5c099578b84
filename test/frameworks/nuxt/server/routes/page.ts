import { defineEventHandler } from "h3";

/** Asks a route of the same server, as a page of Nuxt does while it is rendered. */
export default defineEventHandler(async () => ({ page: await $fetch("/hello") }));
