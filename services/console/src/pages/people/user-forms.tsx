import { Button, Checkbox, PasswordInput, SegmentedControl, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { Role } from "../../gql/graphql";
import { useAct } from "../../graphql/hooks";
import { messageFor } from "../../graphql/problem";
import { ProblemNote } from "../../parts/states";
import { spell } from "../../parts/tags";
import { useViewer } from "../../shell/viewer";

const InviteAct = graphql(`
  mutation InviteUser($input: InviteUserInput!) {
    inviteUser(input: $input) { user { id } position }
  }
`);
const CreateAct = graphql(`
  mutation CreateUser($input: CreateUserInput!) {
    createUser(input: $input) { user { id } position }
  }
`);

const meanings: Record<Role, string> = {
  OWNER: "May do everything, also exceptions and other owners",
  ADMIN: "Policies, people, endpoints, settings; decides",
  APPROVER: "Decides what is routed to them",
  AUDITOR: "Reads everything, decides nothing",
  MEMBER: "Sees their own requests",
};
const order: Role[] = ["OWNER", "ADMIN", "APPROVER", "AUDITOR", "MEMBER"];

/** Roles as a list of boxes. Only owners can make owners. */
export function RolePicker({ value, onChange, error }: { value: Role[]; onChange: (value: Role[]) => void; error?: string | undefined }) {
  const viewer = useViewer();
  return (
    <Checkbox.Group label="Roles" value={value} error={error} onChange={(next) => onChange(order.filter((role) => next.includes(role)))}>
      <div className="stack stack--tight checks">
        {order.map((role) => (
          <Checkbox key={role} value={role} label={spell(role)} description={meanings[role]} disabled={role === "OWNER" && !viewer.roles.includes("OWNER")} />
        ))}
      </div>
    </Checkbox.Group>
  );
}

export function NewUser({ onDone }: { onDone: () => void }) {
  const [way, setWay] = useState<"invite" | "create">("invite");
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [roles, setRoles] = useState<Role[]>(["MEMBER"]);
  const [password, setPassword] = useState("");
  const invite = useAct(InviteAct, "The invitation is on its way");
  const create = useAct(CreateAct, "The user is created");
  const problem = way === "invite" ? invite.problem : create.problem;
  const error = (field: string) => messageFor(problem?.fields ?? [], field);
  const save = async () => {
    const common = { email: email.trim(), name: name.trim(), roles };
    const done = way === "invite" ? await invite.run({ input: common }) : await create.run({ input: { ...common, password } });
    if (done) onDone();
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <SegmentedControl
        aria-label="How"
        value={way}
        onChange={(value) => setWay(value as "invite" | "create")}
        data={[
          { value: "invite", label: "Invite by mail" },
          { value: "create", label: "Set a password" },
        ]}
      />
      <TextInput label="Name" required value={name} error={error("name")} onChange={(event) => setName(event.currentTarget.value)} />
      <TextInput label="E-mail" type="email" required value={email} error={error("email")} onChange={(event) => setEmail(event.currentTarget.value)} />
      {way === "create" && (
        <PasswordInput label="Password" description="At least 12 characters; tell it to them in person" required autoComplete="new-password" value={password} error={error("password")} onChange={(event) => setPassword(event.currentTarget.value)} />
      )}
      <RolePicker value={roles} onChange={setRoles} error={error("roles")} />
      <ProblemNote problem={problem} />
      <div className="row row--end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={invite.running || create.running} disabled={roles.length === 0}>
          {way === "invite" ? "Send invitation" : "Create user"}
        </Button>
      </div>
    </form>
  );
}
