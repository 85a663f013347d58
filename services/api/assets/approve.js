// Passkeys on the approval page: an addition, without which the page works by session or one-time code.
"use strict";
(() => {
  const box = document.querySelector("[data-passkey]");
  const form = box && box.closest("form");
  if (!form || !window.PublicKeyCredential || !navigator.credentials) return;
  const told = box.querySelector("[role=status]");

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) => {
    const plain = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  const prove = async () => {
    const answer = await fetch(box.dataset.passkey, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ digest: form.elements.namedItem("digest").value }),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.detail || "The server did not ask for a passkey.");
    const options = told.publicKey;
    const credential = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: options.allowCredentials.map((each) => ({ ...each, id: bytes(each.id) })),
      },
    });
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      clientExtensionResults: {},
      response: {
        clientDataJSON: text(clientDataJSON),
        authenticatorData: text(authenticatorData),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      },
    });
  };

  const hidden = (name, value) => {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.append(field);
  };

  const buttons = box.querySelectorAll("button");
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      for (const each of buttons) each.disabled = true;
      told.textContent = "Waiting for your passkey …";
      try {
        const passkey = await prove();
        // A code typed besides is not needed.
        const code = form.elements.namedItem("code");
        if (code) code.value = "";
        hidden("passkey", passkey);
        hidden("button", button.value);
        form.submit();
      } catch (error) {
        const refused = error instanceof DOMException;
        told.textContent = refused ? "The passkey was not used. Nothing was decided." : String(error.message);
        for (const each of buttons) each.disabled = false;
      }
    });
  }
  box.hidden = false;
})();
