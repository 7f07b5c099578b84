// Runs before each test file. Without this, fast-check makes no list of more than 10 items, whatever `maxLength` says.

import fc from "fast-check";

fc.configureGlobal({ ...fc.readConfigureGlobal(), defaultSizeToMaxWhenMaxSpecified: true });
