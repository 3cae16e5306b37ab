// Copies the contract into protos/ and makes its types in src/gen; neither is committed.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const contract = join(here, "../../proto");
const google = join(here, "node_modules/google-proto-files");
const IMPORTED = [
  "google/longrunning/operations.proto",
  "google/rpc/status.proto",
  "google/rpc/error_details.proto",
  "google/api/annotations.proto",
  "google/api/http.proto",
  "google/api/client.proto",
  "google/api/field_behavior.proto",
  "google/api/launch_stage.proto",
];

const protos = join(here, "protos");
for (const made of [protos, join(here, "src/gen")]) rmSync(made, { recursive: true, force: true });
for (const name of IMPORTED) {
  mkdirSync(dirname(join(protos, name)), { recursive: true });
  cpSync(join(google, name), join(protos, name));
}
const ours = readdirSync(join(contract, "hypnogram/v1")).filter((name) => name.endsWith(".proto"));
mkdirSync(join(protos, "hypnogram/v1"), { recursive: true });
for (const name of ours) cpSync(join(contract, "hypnogram/v1", name), join(protos, "hypnogram/v1", name));
const names = [...ours.map((name) => `hypnogram/v1/${name}`), IMPORTED[0], IMPORTED[2]];
writeFileSync(join(protos, "all.proto"), ['syntax = "proto3";', ...names.map((name) => `import "${name}";`)].join("\n"));

execFileSync(
  process.execPath,
  [
    join(here, "node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js"),
    "--longs=Number", "--enums=String", "--defaults", "--oneofs", "--keepCase=false",
    "--grpcLib=@grpc/grpc-js", "--importFileExtension=.js",
    `--includeDirs=${protos}`, `--outDir=${join(here, "src/gen")}`, "all.proto",
  ],
  { stdio: ["ignore", "ignore", "inherit"] },
);
