import type { NextConfig } from "next";

// The types were checked before.
const config: NextConfig = { typescript: { ignoreBuildErrors: true }, turbopack: { root: import.meta.dirname } };

export default config;
