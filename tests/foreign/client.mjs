// Adds a fact and reads its lineage, as a program of another language would: from the .proto files and nothing else.
//
//   node client.mjs ADDRESS MEMORY PROTO_FOLDER INCLUDE_FOLDER
//
// Prints one JSON document: the fact's id, its version and the types of the events in its lineage.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.FOREIGN_MODULES ?? process.cwd()}/`);
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, memory, protos, includes] = process.argv.slice(2);
const definition = loader.loadSync("hypnogram/v1/facts.proto", {
  includeDirs: [protos, includes],
  keepCase: true,
  longs: Number,
  enums: String,
});
const { Facts } = grpc.loadPackageDefinition(definition).hypnogram.v1;
const facts = new Facts(address, grpc.credentials.createInsecure());

const call = (name, request) =>
  new Promise((resolve, reject) =>
    facts[name](request, { deadline: Date.now() + 600_000 }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    ),
  );

const added = await call("AddFacts", {
  memory,
  request_id: "grpc-js",
  facts: [{ subject: "Juno Script", relation: "lives in", object: "Lisbon" }],
});
const { fact } = added.results[0].fact;
const lineage = await call("GetLineage", { memory, fact });
const refused = await call("AddFacts", { memory, request_id: "empty", facts: [] }).catch((error) => error);

console.log(
  JSON.stringify({
    fact,
    version: added.version,
    events: lineage.entries.map((entry) => entry.event.type),
    object: lineage.entries[0].event.payload.fields.statement.structValue.fields.object.stringValue,
    refused: grpc.status[refused.code],
  }),
);
facts.close();
