// A stand-in for the vendor's package for Node, which is on no registry: what the published programs use of it, over the
// same wire. Its forms are those of its version 0.14.0.

import { EventEmitter } from "node:events";
import WebSocket from "ws";
import { z } from "zod";

export const tool = (config) => config;

class Call extends EventEmitter {
  constructor(send, started) {
    super();
    this.send = (event, fields) => send({ event, call_id: started.call_id, ...fields });
    this.id = started.call_id;
    this.from = started.from;
    this.metadata = started.metadata;
    this.said = 0;
  }

  say(text) {
    this.said += 1;
    this.send("bot.reply", { message_id: `say-${this.said}`, text, in_reply_to: "" });
  }

  forward(to) {
    this.send("call.forward", { to, message: "", announce: false });
  }

  hangup() {
    this.send("call.hangup", {});
  }
}

class Agent extends EventEmitter {
  constructor(client, id, config) {
    super();
    this.client = client;
    this.id = id;
    this.config = config;
    this.calls = new Map();
    this.ready = new Promise((done) => this.once("ready", done));
  }

  async createToken(channel, metadata) {
    const query = new URLSearchParams({ agent_id: this.id });
    if (metadata) query.set("metadata", JSON.stringify(metadata));
    const headers = { Authorization: `Bearer ${this.client.apiKey}` };
    const response = await fetch(`${this.client.apiUrl}/${channel}/token?${query}`, { headers });
    const body = await response.json();
    if (!response.ok) throw new Error(body.detail);
    return { token: body.token, server: body.server, expiresIn: body.expires_in };
  }

  create() {
    const { tools = [], allowedOrigins, ...settings } = this.config;
    const shapes = tools.map(({ name, description, schema }) => {
      const { $schema, additionalProperties, ...parameters } = z.toJSONSchema(schema);
      return { type: "function", function: { name, description, parameters } };
    });
    const origins = allowedOrigins ? { allowed_origins: allowedOrigins } : {};
    return { event: "agent.create", agent_id: this.id, ...settings, ...origins, tools: shapes };
  }

  async take(message) {
    const kind = message.event;
    if (kind === "agent.created") {
      this.emit("ready");
      return;
    }
    if (kind === "call.started" || kind === "llm.chat.started") {
      const call = new Call(this.client.send, message);
      this.calls.set(message.call_id, call);
      this.emit(kind === "call.started" ? kind : "chat.started", call);
      return;
    }
    const call = this.calls.get(message.call_id);
    if (!call) return;
    if (kind === "llm.tool_call") {
      const toolCalls = message.tool_calls.map((each) => ({ ...each, arguments: JSON.parse(each.arguments) }));
      this.emit("llm.toolCall", { ...message, toolCalls }, call);
      const results = await Promise.all(toolCalls.map((each) => this.run(each, call)));
      call.send("llm.tool_result", { msg_id: message.msg_id, results });
      return;
    }
    call.emit(kind, message);
    if (kind === "call.ended") this.emit(kind, call, message.reason);
    else this.emit(kind, message, call);
  }

  async run(called, call) {
    const { schema, execute, ephemeral } = this.config.tools.find(({ name }) => name === called.name);
    let result;
    try {
      result = await execute(schema.parse(called.arguments), call);
    } catch (error) {
      result = { error: error.message };
    }
    return { tool_call_id: called.id, result, ...(ephemeral ? { ephemeral } : {}) };
  }
}

export class Pinecall {
  constructor({ apiKey, apiUrl }) {
    Object.assign(this, { apiKey, apiUrl, agents: new Map(), connected: false });
    this.socket = new WebSocket(`${apiUrl.replace(/^http/, "ws")}/client`);
    this.send = (message) => this.socket.send(JSON.stringify(message));
    this.socket.on("open", () => this.send({ event: "connect", api_key: apiKey }));
    this.socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (message.event === "error") throw new Error(message.message);
      if (message.event === "connected") {
        this.connected = true;
        for (const agent of this.agents.values()) this.send(agent.create());
      } else this.agents.get(message.agent_id)?.take(message);
    });
  }

  agent(id, config) {
    const agent = new Agent(this, id, config);
    this.agents.set(id, agent);
    if (this.connected) this.send(agent.create());
    return agent;
  }
}
