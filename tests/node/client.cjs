// The official Node client, doing what the test names and printing what came of it as one line of JSON.
const OpenAI = require("openai");

const told = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL: told.base, apiKey: told.key, maxRetries: 0, ...told.client });
const ask = { model: "assisters-chat-v1", messages: [{ role: "user", content: "Hello" }], ...told.ask };

const acts = {
  async chat() {
    const { data, response } = await client.chat.completions.create(ask, { headers: told.headers }).withResponse();
    return {
      content: data.choices[0].message.content,
      model: data.model,
      usage: data.usage,
      id: data._request_id,
      headers: Object.fromEntries(response.headers),
    };
  },

  async tools() {
    const answer = await client.chat.completions.create(ask);
    return answer.choices[0].message.tool_calls;
  },

  async stream() {
    const stream = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    let text = "";
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, usage };
  },

  async hangUp() {
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    const heard = [];
    for await (const chunk of stream) {
      heard.push(chunk.choices[0].delta.content);
      if (heard.length === told.after) break; // what breaks out of the loop aborts the request
    }
    return heard;
  },

  async embeddings() {
    const answer = await client.embeddings.create({ model: "assisters-embed-v1", input: told.input });
    return answer.data.map((one) => one.embedding);
  },

  async models() {
    const found = [];
    for await (const model of client.models.list()) found.push(model.id);
    return { found, one: (await client.models.retrieve(found[0])).id };
  },

  async get() {
    return await client.get(told.path);
  },
};

acts[told.act]().then(
  (answer) => console.log(JSON.stringify({ answer })),
  (error) =>
    console.log(
      JSON.stringify({
        error: error.constructor.name,
        status: error.status,
        code: error.code,
        type: error.type,
        param: error.param,
        id: error.requestID,
        message: error.message,
      }),
    ),
);
