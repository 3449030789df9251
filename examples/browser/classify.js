// The model folder that `make train` wrote, in a web page: no server, no account, no CDN.
import { env, pipeline } from "@huggingface/transformers";

env.allowLocalModels = true;
env.allowRemoteModels = false;
env.localModelPath = new URL("../../models/", import.meta.url).pathname;
env.backends.onnx.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", import.meta.url).href;

// ?model=NAME takes another folder under models/, ?dtype=q8 the graph of whole numbers.
const asked = new URLSearchParams(location.search);
const model = asked.get("model") ?? "default";
const dtype = asked.get("dtype") ?? "fp32";

const form = document.querySelector("form");
const button = form.querySelector("button");
const answer = document.querySelector("#answer");

try {
  const classify = await pipeline("text-classification", model, { dtype, device: "wasm" });
  // The thresholds from which an ask counts stand beside the model.
  const contract = await (await fetch(`${env.localModelPath}${model}/outreach.json`)).json();
  const thresholds = new Map(contract.task.labels.map((label, i) => [label, contract.thresholds[i]]));

  button.textContent = "Tell me";
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const scores = await classify(form.querySelector("#text").value, { top_k: null });
    const found = scores.filter(({ label, score }) => score >= thresholds.get(label));
    const names = found.map(({ label }) => label.replaceAll("_", " "));
    const headline = document.createElement("h2");
    headline.textContent = `It asks for ${names.join(" and ") || "none of them"}.`;
    const list = document.createElement("ul");
    for (const { label, score } of scores) {
      const line = document.createElement("li");
      line.dataset.label = label;
      line.dataset.score = score;
      line.textContent = `${label.replaceAll("_", " ")}: ${Math.round(score * 100)} %`;
      list.append(line);
    }
    answer.replaceChildren(headline, list);
  });
} catch (error) {
  answer.textContent = `The model could not be loaded: ${error.message}`;
}
