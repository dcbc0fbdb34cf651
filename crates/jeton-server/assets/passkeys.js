// Forms that a passkey completes: hidden without this script, and where the browser has none.
{
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const listed = (ids) => ids.map((id) => ({ type: "public-key", id: bytes(id) }));
  let underWay;

  const create = async (options) => {
    const { id, type, response } = await navigator.credentials.create({
      signal: underWay.signal,
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: listed(options.excludeCredentials),
      },
    });
    return { id, type, response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject) } };
  };

  const get = async (options, mediation) => {
    const { id, type, response } = await navigator.credentials.get({
      mediation,
      signal: underWay.signal,
      publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: listed(options.allowCredentials) },
    });
    return {
      id, type,
      response: {
        clientDataJSON: text(response.clientDataJSON),
        authenticatorData: text(response.authenticatorData),
        signature: text(response.signature),
        userHandle: response.userHandle && text(response.userHandle),
      },
    };
  };

  const words = (error) => ({
    NotAllowedError: "No passkey was used: you cancelled, or it took too long.",
    InvalidStateError: "This device already has a passkey for you here.",
    SecurityError: "This page is not open at the server's own address. Open the dashboard there to use passkeys.",
    NotSupportedError: "This device can't make passkeys of a kind that Jeton uses.",
  })[error.name] ?? `No passkey was used: ${error.message}`;

  const run = async (form, mediation) => {
    // A challenge is answered once.
    if (isSending) return;
    underWay?.abort();
    const mine = underWay = new AbortController();
    const problem = form.querySelector("[data-passkey-problem]");
    problem.hidden = true;
    const options = JSON.parse(form.dataset.passkey);
    try {
      const credential = await (form.dataset.ceremony === "create" ? create(options) : get(options, mediation));
      if (isSending || mine.signal.aborted) return;
      form.querySelector("[data-passkey-answer]").value = JSON.stringify(credential);
      isSending = true;
      form.submit();
    } catch (error) {
      // Nobody asked for what the browser offers beside the field.
      if (mediation === "conditional" || mine.signal.aborted) return;
      problem.textContent = words(error);
      problem.hidden = false;
    }
  };

  // A page that the browser kept in memory has a challenge that was answered.
  addEventListener("pageshow", (event) => { if (event.persisted && document.querySelector("form[data-passkey]")) location.reload(); });

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) break;
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      run(form);
    });
    if (form.dataset.ceremony === "sign-in") {
      PublicKeyCredential.isConditionalMediationAvailable?.().then((can) => { if (can && !underWay) run(form, "conditional"); });
    }
  }
}
