// Runs before each of the test files that are all about the build.

import { assertPackageBuilt, assertProgramsBuilt } from "./built.ts";

assertPackageBuilt();
assertProgramsBuilt();
