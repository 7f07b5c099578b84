import { expect, it } from "vitest";
import { pathOf } from "./request.ts";

it.each([
  ["/a/b?c=/d?e", "/a/b"],
  ["/?a", "/"],
  ["/", "/"],
  ["http://example.com/a?b", "/a"],
  ["HTTPS://example.com:8443/a", "/a"],
  // Of a URL without a path, of OPTIONS for the whole server, and of CONNECT.
  ["http://example.com", "/"],
  ["http://example.com?a=/b", "/"],
  ["*", "/"],
  ["example.com:443", "/"],
  ["", "/"],
])("the path of the request target %j is %j", (target, path) => {
  expect(pathOf(target)).toBe(path);
});
