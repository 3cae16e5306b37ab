// Tells, asks, lists, watches and retracts on a server; prints what happened as JSON.

import { CallFailed, Client } from "../dist/index.js";

const [address, memory, token] = process.argv.slice(2);
const client = new Client(address, { actor: "typescript", token });

async function failure(call) {
  try {
    await call;
  } catch (error) {
    if (error instanceof CallFailed) return { ...error, message: error.message };
    throw error;
  }
  throw new Error("the call did not fail");
}

const facts = [
  { subject: "Aria Voss", relation: "lives in", object: "Lisbon" },
  { subject: "Bo Lindt", relation: "works as", object: "a baker" },
];
const added = await client.addFacts(memory, facts);
const ids = added.results.map((result) => result.fact.fact);
const pieces = [];
for await (const piece of client.chat(memory, "say it again", { seed: 7, timeout: 600_000 })) pieces.push(piece);
const listed = [];
for await (const fact of client.facts(memory, { pageSize: 1 })) listed.push(fact.object);
const retracted = await client.retractFact(memory, ids[1], { reason: "moved on" });
let events = 0;
for await (const news of client.stream("History", "Watch", { memory, afterVersion: 0 })) {
  events += news.event ? 1 : 0;
  if (news.version >= retracted.version) break; // which ends the call
}
const result = {
  added: added.version,
  answer: pieces.map((piece) => piece.text).join(""),
  finish: pieces.at(-1).finish,
  asked: await client.ask(memory, "hello"),
  listed,
  status: (await client.call("Facts", "GetFact", { memory, fact: ids[1] })).fact.status,
  memory: (await client.call("Memories", "GetMemory", { memory })).memory.memory,
  events,
  unknown: await failure(client.call("Memories", "GetMemory", { memory: "nosuch" })),
  invalid: await failure(client.addFacts(memory, [{ subject: "", relation: "lives in", object: "Rome" }])),
};
client.close();
console.log(JSON.stringify(result));
