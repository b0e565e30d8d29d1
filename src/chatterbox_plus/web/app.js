const [access, key, form, text, voice, status, player, engine] = [
  "#access",
  "#key",
  "#speech",
  "#text",
  "#voice",
  "#status",
  "#player",
  "#engine",
].map((name) => document.querySelector(name));

const KINDS = { file: "Recordings", alias: "OpenAI's names", stock: "The engine's own" };

async function listVoices() {
  const { voices } = await (await fetch("/v1/audio/voices?language=en")).json();
  for (const [kind, label] of Object.entries(KINDS)) {
    const group = Object.assign(document.createElement("optgroup"), { label });
    group.append(...voices.filter((one) => one.kind === kind).map(({ id, name }) => new Option(name, id)));
    voice.append(group);
  }
}

async function introduce() {
  const { engine: speaker } = await (await fetch("/api/v1/health")).json();
  if (speaker?.preview) engine.textContent = "This is the built-in preview voice.";
}

function showDoor(closed) {
  access.hidden = !closed;
  form.hidden = closed;
}

async function knock() {
  const { authenticated } = await (await fetch("/api/v1/session")).json();
  showDoor(!authenticated);
}

async function enter() {
  const reply = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: key.value }),
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(answer.error);
  key.value = "";
  status.textContent = "";
  showDoor(false);
}

async function speak() {
  status.textContent = "Speaking…";
  const body = { text: text.value, reference_audio_filename: voice.value || null, export_formats: ["mp3"] };
  const reply = await fetch("/api/v1/tts", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (reply.status === 401) showDoor(true);
  if (!reply.ok) throw new Error((await reply.json()).error);
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(await reply.blob());
  player.hidden = false;
  status.textContent = `Made ${Number(reply.headers.get("X-Audio-Duration")).toFixed(1)} s of speech.`;
  await player.play().catch((error) => {
    if (error.name !== "NotAllowedError") throw error; // the browser wants a click: the player is there for it
  });
}

function onSubmit(of, action) {
  of.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = of.querySelector("button");
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      status.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}

onSubmit(form, speak);
onSubmit(access, enter);
Promise.all([knock(), listVoices(), introduce()]).catch((error) => (status.textContent = error.message));
