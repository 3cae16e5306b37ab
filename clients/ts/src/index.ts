/** A client of Hypnogram over grpc-js: every call of `hypnogram.v1`, and the most common ones as methods. */

import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";

import type { OperationsDefinition } from "./gen/google/longrunning/Operations.js";
import type { AddFactsResponse__Output } from "./gen/hypnogram/v1/AddFactsResponse.js";
import type { BaseModel } from "./gen/hypnogram/v1/BaseModel.js";
import type { ChatDefinition } from "./gen/hypnogram/v1/Chat.js";
import type { ChatRequest } from "./gen/hypnogram/v1/ChatRequest.js";
import type { ChatResponse__Output } from "./gen/hypnogram/v1/ChatResponse.js";
import type { Fact__Output } from "./gen/hypnogram/v1/Fact.js";
import type { FactsDefinition } from "./gen/hypnogram/v1/Facts.js";
import type { HistoryDefinition } from "./gen/hypnogram/v1/History.js";
import type { ListFactsRequest } from "./gen/hypnogram/v1/ListFactsRequest.js";
import type { MemoriesDefinition } from "./gen/hypnogram/v1/Memories.js";
import type { NewFact } from "./gen/hypnogram/v1/NewFact.js";
import type { RetractFactResponse__Output } from "./gen/hypnogram/v1/RetractFactResponse.js";
import type { SleepDefinition } from "./gen/hypnogram/v1/Sleep.js";

export type { ChatRequest, ChatResponse__Output as ChatResponse, Fact__Output as Fact, NewFact };

/** The services of the contract, each with its calls. */
export interface Services {
  Memories: MemoriesDefinition;
  Facts: FactsDefinition;
  Sleep: SleepDefinition;
  History: HistoryDefinition;
  Chat: ChatDefinition;
  Operations: OperationsDefinition;
}

type Named<D> = { [K in keyof D as string extends K ? never : number extends K ? never : K]: D[K] };
export type Service = keyof Services;
export type Method<S extends Service> = string & keyof Named<Services[S]>;
export type Request<S extends Service, M extends Method<S>> =
  Named<Services[S]>[M] extends { requestSerialize: grpc.serialize<infer Q> } ? Q : never;
export type Response<S extends Service, M extends Method<S>> =
  Named<Services[S]>[M] extends { responseDeserialize: grpc.deserialize<infer R> } ? R : never;

export interface Access {
  /** Who acts, for servers that ask for no token. */
  actor?: string;
  /** What `hypnogram token create` printed. */
  token?: string;
  /** For a server that speaks TLS, as `grpc.credentials.createSsl(...)`. */
  credentials?: grpc.ChannelCredentials;
}

export interface Options {
  /** Milliseconds until the call fails with DEADLINE_EXCEEDED; none by default. */
  timeout?: number;
}

/** A call that failed: its gRPC code, and the reason, metadata and fields that the server gave. */
export class CallFailed extends Error {
  constructor(
    /** As in `NOT_FOUND`. */
    readonly code: string,
    message: string,
    /** For programs, as in `MEMORY_UNKNOWN`; empty where the call did not reach the server. */
    readonly reason = "",
    readonly metadata: Record<string, string> = {},
    /** What is wrong, by the path of the field: `facts[2].object`. */
    readonly fields: Record<string, string> = {},
    /** Milliseconds after which to repeat the call, where that helps. */
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = "CallFailed";
  }
}

const definition = loadSync("all.proto", {
  includeDirs: [join(dirname(fileURLToPath(import.meta.url)), "../protos")],
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** A connection to a server, open until `close`. */
export class Client {
  private readonly channel: grpc.Client;
  private readonly metadata = new grpc.Metadata();

  constructor(address: string, access: Access = {}) {
    this.channel = new grpc.Client(address, access.credentials ?? grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": 64 * 1024 * 1024,
    });
    this.metadata.set("hypnogram-actor", access.actor ?? "client");
    if (access.token) this.metadata.set("authorization", `Bearer ${access.token}`);
  }

  close(): void {
    this.channel.close();
  }

  /** Makes any call with one response. Throws CallFailed. */
  call<S extends Service, M extends Method<S>>(
    service: S,
    method: M,
    request: Request<S, M>,
    options: Options = {},
  ): Promise<Response<S, M>> {
    const found = definitionOf(service, method);
    return new Promise((resolve, reject) => {
      this.channel.makeUnaryRequest(
        found.path,
        found.requestSerialize,
        found.responseDeserialize,
        request as object,
        this.metadata,
        callOptions(options),
        (error, response) => (error ? reject(failure(error)) : resolve(response as Response<S, M>)),
      );
    });
  }

  /** Makes any call with a stream of responses, which ends when the loop over them is left. Throws CallFailed. */
  async *stream<S extends Service, M extends Method<S>>(
    service: S,
    method: M,
    request: Request<S, M>,
    options: Options = {},
  ): AsyncGenerator<Response<S, M>, void, void> {
    const found = definitionOf(service, method);
    const responses = this.channel.makeServerStreamRequest(
      found.path,
      found.requestSerialize,
      found.responseDeserialize,
      request as object,
      this.metadata,
      callOptions(options),
    );
    responses.on("error", () => {}); // of the cancellation, once the loop was left
    try {
      for await (const response of responses) yield response as Response<S, M>;
    } catch (error) {
      throw failure(error as grpc.ServiceError);
    } finally {
      responses.cancel();
    }
  }

  /** Creates a memory, by default on the server's own base model. */
  createMemory(memory: string, base?: BaseModel): Promise<Response<"Memories", "CreateMemory">> {
    return this.call("Memories", "CreateMemory", { memory, base });
  }

  /** Adds facts; with `wait`, resolves once the weights have them or they are parked. */
  addFacts(
    memory: string,
    facts: NewFact[],
    { wait = false, requestId = randomUUID(), ...options }: Options & { wait?: boolean; requestId?: string } = {},
  ): Promise<AddFactsResponse__Output> {
    const request = { memory, facts, requestId, wait: wait ? "WAIT_INJECTED" : "WAIT_NONE" } as const;
    return this.call("Facts", "AddFacts", request, options);
  }

  /** Yields the facts of a memory, page by page, in the order added. */
  async *facts(memory: string, which: Omit<ListFactsRequest, "memory" | "pageToken"> = {}): AsyncGenerator<Fact__Output> {
    let pageToken = "";
    do {
      const page = await this.call("Facts", "ListFacts", { ...which, memory, pageToken });
      yield* page.facts;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Retracts a fact, and with `erase` destroys its words; that cannot be undone. */
  retractFact(
    memory: string,
    fact: string,
    { reason = "", erase = false, wait = false, requestId = randomUUID(), ...options }: Options & {
      reason?: string;
      erase?: boolean;
      wait?: boolean;
      requestId?: string;
    } = {},
  ): Promise<RetractFactResponse__Output> {
    const request = { memory, fact, reason, erase, requestId, wait: wait ? "WAIT_INJECTED" : "WAIT_NONE" } as const;
    return this.call("Facts", "RetractFact", request, options);
  }

  /** Yields the answer of a memory's model, piece by piece; a string is one message of the user. */
  chat(
    memory: string,
    messages: string | NonNullable<ChatRequest["messages"]>,
    how: Omit<ChatRequest, "memory" | "messages"> & Options = {},
  ): AsyncGenerator<ChatResponse__Output, void, void> {
    const { timeout, ...request } = how;
    const said = typeof messages === "string" ? [{ role: "user", content: messages }] : messages;
    return this.stream("Chat", "Chat", { ...request, memory, messages: said }, { timeout });
  }

  /** Resolves with the whole answer. */
  async ask(memory: string, question: string, how: Parameters<Client["chat"]>[2] = {}): Promise<string> {
    let answer = "";
    for await (const piece of this.chat(memory, question, how)) answer += piece.text;
    return answer;
  }
}

function definitionOf(service: Service, method: string): grpc.MethodDefinition<object, object> {
  const name = service === "Operations" ? "google.longrunning.Operations" : `hypnogram.v1.${service}`;
  return (definition[name] as grpc.ServiceDefinition)[method] as grpc.MethodDefinition<object, object>;
}

function callOptions({ timeout }: Options): grpc.CallOptions {
  return timeout === undefined ? {} : { deadline: Date.now() + timeout };
}

interface Detail {
  type_url: string;
  value: Buffer;
}

function decoded<T>(type: string, bytes: Buffer): T {
  return (definition[type] as MessageTypeDefinition<object, object>).deserialize(bytes) as T;
}

/** Returns the failure that an error of gRPC stands for, with what the server packed into it. */
function failure(error: grpc.ServiceError): CallFailed {
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const code = grpc.status[error.code] ?? "UNKNOWN";
  if (!Buffer.isBuffer(packed)) return new CallFailed(code, error.details || error.message);
  let reason = "";
  let metadata: Record<string, string> = {};
  const fields: Record<string, string> = {};
  let retryAfter: number | undefined;
  for (const detail of decoded<{ details: Detail[] }>("google.rpc.Status", packed).details) {
    const type = detail.type_url.slice(detail.type_url.lastIndexOf("/") + 1);
    if (type === "google.rpc.ErrorInfo") {
      ({ reason, metadata } = decoded<{ reason: string; metadata: Record<string, string> }>(type, detail.value));
    } else if (type === "google.rpc.BadRequest") {
      const bad = decoded<{ fieldViolations: { field: string; description: string }[] }>(type, detail.value);
      for (const violation of bad.fieldViolations) fields[violation.field] = violation.description;
    } else if (type === "google.rpc.RetryInfo") {
      const { retryDelay } = decoded<{ retryDelay?: { seconds: number; nanos: number } }>(type, detail.value);
      if (retryDelay) retryAfter = retryDelay.seconds * 1000 + retryDelay.nanos / 1e6;
    }
  }
  return new CallFailed(code, error.details, reason, metadata, fields, retryAfter);
}
