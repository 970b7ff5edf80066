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

  async responses() {
    const asked = { model: "assisters-chat-v1", input: "Hello" };
    const whole = await client.responses.create(asked);
    const types = [];
    for await (const event of await client.responses.create({ ...asked, stream: true })) types.push(event.type);
    return { text: whole.output_text, usage: whole.usage, types };
  },

  async moderations() {
    const answer = await client.moderations.create({ model: "assisters-moderation-v1", input: told.input });
    return answer.results.map((one) => one.flagged);
  },

  async images() {
    const asked = { model: "assisters-image-v1", prompt: "A house", n: 2, response_format: "b64_json" };
    return (await client.images.generate(asked)).data.map((one) => one.b64_json);
  },

  async speech() {
    const asked = { model: "assisters-tts-v1", voice: "alloy", input: "Hello", response_format: "wav" };
    const answer = await client.audio.speech.create(asked);
    return { kind: answer.headers.get("content-type"), sound: Buffer.from(await answer.arrayBuffer()).toString("base64") };
  },

  async transcription() {
    const file = await OpenAI.toFile(Buffer.from(told.sound, "base64"), "hello.wav");
    return (await client.audio.transcriptions.create({ model: "assisters-whisper-v1", file })).text;
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
