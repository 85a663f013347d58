import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { Role } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { Confirm, ConfirmAct } from "../../parts/confirm";
import { Facts } from "../../parts/page";
import { ProblemNote } from "../../parts/states";
import { Roles, Tag, UserTag } from "../../parts/tags";
import { When } from "../../parts/time";
import { can, useViewer } from "../../shell/viewer";
import { UserAccounts } from "./user-accounts";
import { RolePicker } from "./user-forms";
import type { UserRow } from "./users";

const ChangeAct = graphql(`
  mutation ChangeUser($input: ChangeUserInput!) {
    changeUser(input: $input) { user { id name email } position }
  }
`);
const RolesAct = graphql(`
  mutation ChangeUserRoles($input: ChangeUserRolesInput!) {
    changeUserRoles(input: $input) { user { id roles assignedRoles } position }
  }
`);
const DisableAct = graphql(`
  mutation DisableUser($input: DisableUserInput!) {
    disableUser(input: $input) { user { id status } position }
  }
`);
const EnableAct = graphql(`
  mutation EnableUser($input: EnableUserInput!) {
    enableUser(input: $input) { user { id status } position }
  }
`);
const ResetTotpAct = graphql(`
  mutation ResetTotp($input: ResetTotpInput!) {
    resetTotp(input: $input) { user { id totpEnrolled } position }
  }
`);

const ResetPasskeysAct = graphql(`
  mutation ResetPasskeys($input: ResetPasskeysInput!) {
    resetPasskeys(input: $input) { user { id passkeyEnrolled } position }
  }
`);
const UnlinkAct = graphql(`
  mutation UnlinkIdentities($input: UnlinkIdentitiesInput!) {
    unlinkIdentities(input: $input) { userId position }
  }
`);
const ProvidersLook = graphql(`
  query ProvidersOfUsers {
    identityProviders { id name }
  }
`);

/** What a user proves themselves with beside the password. */
export function Factors({ user }: { user: Pick<UserRow, "totpEnrolled" | "passkeyEnrolled"> }) {
  if (!user.totpEnrolled && !user.passkeyEnrolled) return <span className="soft">None</span>;
  return (
    <span className="row">
      {user.totpEnrolled && <Tag tone="good">Codes</Tag>}
      {user.passkeyEnrolled && <Tag tone="good">Passkey</Tag>}
    </span>
  );
}

/** All about one user, and what an administrator can do about it. */
export function UserDetail({ user }: { user: UserRow }) {
  const changes = can(useViewer(), "administer");
  return (
    <div className="stack stack--wide">
      <Facts
        items={[
          ["E-mail", user.email ?? <span className="soft">Erased</span>],
          ["Mails to it", user.mailRefused != null && <Tag key="m" tone="bad">Refused: {user.mailRefused}</Tag>],
          ["Status", <UserTag key="s" status={user.status} />],
          ["Roles", <Roles key="r" roles={user.roles} />],
          ["By teams", byTeams(user).length > 0 && <Roles key="b" roles={byTeams(user)} />],
          ["Teams", user.teams.map((team) => team.name).join(", ") || "None"],
          ["Second factor", <Factors key="f" user={user} />],
          ["Signed in", user.lastSignInAt ? <When key="l" at={user.lastSignInAt} plain /> : "Never"],
          ["Managed", user.managed && "By the identity provider; names and status are changed there"],
          ["Added", <When key="c" at={user.createdAt} plain />],
          ["Id", <span key="i" className="mono">{user.id}</span>],
        ]}
      />
      <UserAccounts user={user} changes={changes} />
      {changes && !user.managed && user.name != null && <NameForm user={user} />}
      {changes && <RolesForm user={user} />}
      {changes && <Access user={user} />}
    </div>
  );
}

/** The roles that somebody has by their teams alone. */
function byTeams(user: UserRow): Role[] {
  return user.roles.filter((role) => role !== "MEMBER" && !user.assignedRoles.includes(role));
}

function NameForm({ user }: { user: UserRow }) {
  const [name, setName] = useState(user.name ?? "");
  const [email, setEmail] = useState(user.email ?? "");
  const change = useAct(ChangeAct, "The user is changed");
  const error = (field: string) => messageFor(change.problem?.fields ?? [], field);
  const same = name.trim() === user.name && email.trim() === user.email;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void change.run({ input: { userId: user.id, name: name.trim(), email: email.trim() } });
      }}
    >
      <div className="fields">
        <TextInput label="Name" required value={name} error={error("name")} onChange={(event) => setName(event.currentTarget.value)} />
        <TextInput label="E-mail" type="email" required value={email} error={error("email")} onChange={(event) => setEmail(event.currentTarget.value)} />
      </div>
      <ProblemNote problem={change.problem} />
      <div className="row">
        <Button type="submit" variant="default" loading={change.running} disabled={same || !name.trim() || !email.trim()}>
          Change name or e-mail
        </Button>
      </div>
    </form>
  );
}

function RolesForm({ user }: { user: UserRow }) {
  // Those by teams are no business of this form: saved here, they would stay when the team goes.
  const assigned = user.assignedRoles.length > 0 ? user.assignedRoles : ["MEMBER" as const];
  const [roles, setRoles] = useState<Role[]>(assigned);
  const change = useAct(RolesAct, "The roles are changed");
  const same = roles.length === assigned.length && roles.every((role) => assigned.includes(role));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void change.run({ input: { userId: user.id, roles } });
      }}
    >
      <RolePicker value={roles} onChange={setRoles} />
      <ProblemNote problem={change.problem} />
      <div className="row">
        <Button type="submit" variant="default" loading={change.running} disabled={same || roles.length === 0}>
          Change roles
        </Button>
      </div>
    </form>
  );
}

/** What takes access away or gives it back; each is asked twice. */
function Access({ user }: { user: UserRow }) {
  const [asking, setAsking] = useState<"disable" | "codes" | "passkeys" | "identities">();
  const disable = useAct(DisableAct, "The user is disabled");
  const enable = useAct(EnableAct, "The user is enabled");
  const codes = useAct(ResetTotpAct, "The one-time codes are taken away");
  const passkeys = useAct(ResetPasskeysAct, "The passkeys are taken away");
  const identities = useAct(UnlinkAct, "The links are taken back");
  const providers = useLook(ProvidersLook, {});
  const close = () => setAsking(undefined);
  const name = user.name ?? user.email ?? "this user";
  return (
    <div className="stack stack--tight">
      <h3>Access</h3>
      <div className="row">
        {user.totpEnrolled && (
          <Button variant="default" onClick={() => setAsking("codes")}>
            Take one-time codes away…
          </Button>
        )}
        {user.passkeyEnrolled && (
          <Button variant="default" onClick={() => setAsking("passkeys")}>
            Take passkeys away…
          </Button>
        )}
        {(providers.data?.identityProviders.length ?? 0) > 0 && (
          <Button variant="default" onClick={() => setAsking("identities")}>
            Unlink from identity providers…
          </Button>
        )}
        {!user.managed &&
          (user.status === "DISABLED" ? (
            <Button variant="default" loading={enable.running} onClick={() => void enable.run({ input: { userId: user.id } })}>
              Enable again
            </Button>
          ) : (
            <Button variant="default" onClick={() => setAsking("disable")}>
              Disable…
            </Button>
          ))}
      </div>
      <ProblemNote problem={enable.problem} />
      {asking === "disable" && (
        <Confirm
          open
          onClose={close}
          title={`Disable ${name}?`}
          action="Disable"
          dangerous
          reason={{ label: "Reason", required: false }}
          running={disable.running}
          problem={disable.problem}
          onConfirm={(reason) => void disable.run({ input: { userId: user.id, reason: reason || null } }).then((done) => done && close())}
        >
          Sessions close, open requests are cancelled, grants are revoked: all at once. The user can be enabled again; what ended stays ended.
        </Confirm>
      )}
      {asking === "codes" && (
        <ConfirmAct act={codes} variables={{ input: { userId: user.id } }} title={`Take ${name}'s one-time codes away?`} action="Take them away" onClose={close}>
          For somebody who lost their phone, after you made sure who asks. {!user.passkeyEnrolled && "Until they set up another second factor, their password alone opens the door."}
        </ConfirmAct>
      )}
      {asking === "passkeys" && (
        <ConfirmAct act={passkeys} variables={{ input: { userId: user.id } }} title={`Take ${name}'s passkeys away?`} action="Take them away" onClose={close}>
          For somebody who lost their devices, after you made sure who asks. All their passkeys go, and their sessions end.{" "}
          {!user.totpEnrolled && "Until they set up another second factor, their password alone opens the door."}
        </ConfirmAct>
      )}
      {asking === "identities" && (
        <ConfirmAct act={identities} variables={{ input: { userId: user.id } }} title={`Unlink ${name} from identity providers?`} action="Unlink" onClose={close}>
          Forgets who {name} is at {providers.data?.identityProviders.map((provider) => provider.name).join(" and ")}. Signing in there links them anew, by their verified
          address.
        </ConfirmAct>
      )}
    </div>
  );
}
