/** What browsers and the doors under `/auth` say to each other about passkeys: binary values as base64url. */

export interface CredentialJson {
  id: string;
  rawId: string;
  type: string;
  clientExtensionResults: Record<string, unknown>;
  response: Record<string, unknown>;
}

/** The server's options, as WebAuthn level 3 writes them in JSON. */
export interface PasskeyOptions {
  publicKey: Record<string, unknown>;
}

interface Described {
  id: string;
  type: "public-key";
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

export function textOf(buffer: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const described = (list: unknown) => ((list ?? []) as Described[]).map((each) => ({ ...each, id: bytesOf(each.id) }));

export function passkeysWork(): boolean {
  return typeof PublicKeyCredential !== "undefined" && typeof navigator.credentials !== "undefined";
}

async function asked(work: Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const credential = await work;
    if (credential) return credential as PublicKeyCredential;
  } catch (error) {
    // One answer for whatever people or devices did: the browser tells pages no more, and so do we.
    if ((error as { name?: string }).name === "InvalidStateError") throw new Error("This device has a passkey of yours already.");
  }
  throw new Error("No passkey was used. Try again, or choose another way.");
}

/** Has a new passkey made. */
export async function createPasskey({ publicKey }: PasskeyOptions): Promise<CredentialJson> {
  const user = publicKey.user as { id: string };
  const options = {
    ...publicKey,
    challenge: bytesOf(String(publicKey.challenge)),
    user: { ...user, id: bytesOf(user.id) },
    excludeCredentials: described(publicKey.excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions;
  const credential = await asked(navigator.credentials.create({ publicKey: options }));
  const response = credential.response as AuthenticatorAttestationResponse;
  return sent(credential, {
    attestationObject: textOf(response.attestationObject),
    clientDataJSON: textOf(response.clientDataJSON),
    transports: response.getTransports?.() ?? [],
  });
}

/** Has a passkey prove who one is. */
export async function usePasskey({ publicKey }: PasskeyOptions): Promise<CredentialJson> {
  const options = {
    ...publicKey,
    challenge: bytesOf(String(publicKey.challenge)),
    allowCredentials: described(publicKey.allowCredentials),
  } as unknown as PublicKeyCredentialRequestOptions;
  const credential = await asked(navigator.credentials.get({ publicKey: options }));
  const response = credential.response as AuthenticatorAssertionResponse;
  return sent(credential, {
    authenticatorData: textOf(response.authenticatorData),
    clientDataJSON: textOf(response.clientDataJSON),
    signature: textOf(response.signature),
    userHandle: response.userHandle ? textOf(response.userHandle) : null,
  });
}

function sent(credential: PublicKeyCredential, response: Record<string, unknown>): CredentialJson {
  return { id: credential.id, rawId: textOf(credential.rawId), type: credential.type, clientExtensionResults: {}, response };
}
