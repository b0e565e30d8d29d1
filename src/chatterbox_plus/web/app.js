const [form, text, voice, status, player, engine] = ["form", "#text", "#voice", "#status", "#player", "#engine"].map(
  (name) => document.querySelector(name),
);

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

async function speak() {
  status.textContent = "Speaking…";
  const body = { text: text.value, reference_audio_filename: voice.value || null, export_formats: ["mp3"] };
  const reply = await fetch("/api/v1/tts", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!reply.ok) throw new Error((await reply.json()).error);
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(await reply.blob());
  player.hidden = false;
  status.textContent = `Made ${Number(reply.headers.get("X-Audio-Duration")).toFixed(1)} s of speech.`;
  await player.play();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await speak();
  } catch (error) {
    status.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});

Promise.all([listVoices(), introduce()]).catch((error) => (status.textContent = error.message));
