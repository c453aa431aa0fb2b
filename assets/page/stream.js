// Follows the node's event stream. EventSource cannot send the token as a header, so this reads it with fetch.

const QUIET_MS_MAX = 12_000; // the node writes at least every 5 s
const WAIT_MS_MIN = 500;
const WAIT_MS_MAX = 10_000;

/** The node answered, and said no. */
class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Calls `on.event(name, data)`, `on.open()`, `on.lost(sentence, waitMs)` and `on.unknownToken()` until stopped. */
export class Follower {
  constructor(token, on) {
    this.token = token;
    this.on = on;
    this.abort = new AbortController();
    this.wake = () => {};
    this.run();
  }

  stop() {
    this.abort.abort();
    this.wake();
  }

  /** Tries again now, for example when the machine is online again. */
  hurry() {
    this.wake();
  }

  get isStopped() {
    return this.abort.signal.aborted;
  }

  async run() {
    let waitMs = WAIT_MS_MIN;
    while (!this.isStopped) {
      let sentence = "the node closed the stream";
      try {
        await this.follow(() => { waitMs = WAIT_MS_MIN; });
      } catch (fault) {
        if (this.isStopped) return;
        if (fault.status === 401) return this.on.unknownToken();
        sentence = fault instanceof Refused ? fault.message : "the node does not answer";
      }
      if (this.isStopped) return;
      const jitteredMs = waitMs * (0.75 + Math.random() / 2);
      this.on.lost(sentence, jitteredMs);
      await this.pause(jitteredMs);
      waitMs = Math.min(waitMs * 2, WAIT_MS_MAX);
    }
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  async follow(onData) {
    const attempt = new AbortController();
    const giveUp = () => attempt.abort();
    this.abort.signal.addEventListener("abort", giveUp);
    let quiet = setTimeout(giveUp, QUIET_MS_MAX);
    try {
      const headers = { authorization: `Bearer ${this.token}`, accept: "text/event-stream" };
      const response = await fetch("api/events", { headers, signal: attempt.signal, cache: "no-store" });
      if (!response.ok) throw new Refused(response.status, await sentenceOf(response));
      this.on.open();
      const parser = new Parser((name, data) => this.on.event(name, data));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(quiet);
        quiet = setTimeout(giveUp, QUIET_MS_MAX);
        onData();
        parser.take(value);
      }
    } finally {
      clearTimeout(quiet);
      this.abort.signal.removeEventListener("abort", giveUp);
      attempt.abort();
    }
  }
}

async function sentenceOf(response) {
  try {
    return (await response.json()).sentence ?? `the node answered ${response.status}`;
  } catch {
    return `the node answered ${response.status}`;
  }
}

/** Cuts a stream of text into events; comments only show that the line is alive. */
class Parser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = "";
  }

  take(text) {
    const blocks = (this.rest + text).split("\n\n");
    this.rest = blocks.pop();
    for (const block of blocks) this.event(block);
  }

  event(block) {
    let name = "message";
    const data = [];
    for (const line of block.split("\n")) {
      if (line.startsWith("event:")) name = line.slice(6).trim();
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (data.length > 0) this.onEvent(name, JSON.parse(data.join("\n")));
  }
}
