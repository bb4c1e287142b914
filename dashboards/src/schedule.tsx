// The editor of the on-call schedule: members in order, handover, escalation steps.
import { useState } from "preact/hooks";
import { get, put, words } from "./api";
import { millis, plain } from "./text";
import { SEVERITIES, type Channel, type OnCall, type Schedule, type Severity, type Step, type Target, type UserInfo } from "./types";
import { Dialog, Failure, say, useFetched } from "./ui";

function local(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The Monday before now at nine, local time. */
function monday(): number {
  const day = new Date();
  day.setHours(9, 0, 0, 0);
  day.setDate(day.getDate() - ((day.getDay() + 6) % 7));
  return day.getTime();
}

const FRESH: Step = { target: "on_call", channels: ["mail"], wait_seconds: 300 };

function moved<T>(list: T[], from: number, to: number): T[] {
  const next = [...list];
  const [one] = next.splice(from, 1);
  if (one !== undefined) next.splice(Math.max(0, to), 0, one);
  return next;
}

function Members(props: { members: string[]; users: UserInfo[]; set: (members: string[]) => void }) {
  const { members, set } = props;
  const free = props.users.filter((user) => user.mail && !members.includes(user.name));
  return (
    <fieldset><legend>Members, in order of the rotation</legend>
      <ol class="editable">{members.map((name, n) => (
        <li key={name}><span class="grow">{plain(name)}</span>
          <button type="button" class="icon" disabled={n === 0} aria-label={`Move ${name} up`} onClick={() => set(moved(members, n, n - 1))}>↑</button>
          <button type="button" class="icon" disabled={n === members.length - 1} aria-label={`Move ${name} down`} onClick={() => set(moved(members, n, n + 1))}>↓</button>
          <button type="button" class="icon" aria-label={`Take ${name} out`} onClick={() => set(members.filter((one) => one !== name))}>✕</button></li>
      ))}</ol>
      <select aria-label="Add a member" value="" onChange={(event) => { if (event.currentTarget.value) set([...members, event.currentTarget.value]); event.currentTarget.value = ""; }}>
        <option value="">{free.length ? "Add a member…" : "No further user has a mail address"}</option>
        {free.map((user) => <option value={user.name}>{user.name}</option>)}
      </select>
    </fieldset>
  );
}

function StepFields(props: { step: Step; n: number; set: (step: Step) => void; drop: () => void }) {
  const { step, set } = props;
  const channel = (name: Channel, on: boolean) => set({ ...step, channels: on ? [...step.channels, name] : step.channels.filter((one) => one !== name) });
  return (
    <li class="row wrap">
      <span>{props.n + 1}.</span>
      <select aria-label="Calls" value={step.target} onChange={(event) => set({ ...step, target: event.currentTarget.value as Target })}>
        <option value="on_call">who is on call</option><option value="next">who is next</option><option value="everyone">the whole team</option>
      </select>
      {(["mail", "webhook"] as const).map((name) => <label class="inline"><input type="checkbox" checked={step.channels.includes(name)} onChange={(event) => channel(name, event.currentTarget.checked)} />{name}</label>)}
      <label class="inline">wait <input type="number" class="narrow" min="10" max="86400" required value={step.wait_seconds} onInput={(event) => set({ ...step, wait_seconds: Number(event.currentTarget.value) })} /> s</label>
      <button type="button" class="icon" aria-label={`Remove step ${props.n + 1}`} onClick={props.drop}>✕</button>
    </li>
  );
}

export function ScheduleEditor(props: { schedule: Schedule | null; close: () => void; done: (next: OnCall) => void }) {
  const users = useFetched((signal) => get<UserInfo[]>("/api/v1/users", signal), []);
  const [members, setMembers] = useState(props.schedule?.members ?? []);
  const [steps, setSteps] = useState<Step[]>(props.schedule?.steps ?? [FRESH, FRESH, { ...FRESH, target: "everyone" }]);
  const [start, setStart] = useState(local(props.schedule ? millis(props.schedule.start) : monday()));
  const [severity, setSeverity] = useState<Severity>(props.schedule?.severity ?? "high");
  const [rounds, setRounds] = useState(props.schedule?.rounds ?? 3);
  const [error, fail] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const begin = Date.parse(start);
    if (!Number.isFinite(begin)) return fail("Say when the first member's first week began.");
    // An unchanged start is sent as it was: the field shows minutes, the schedule keeps more.
    const kept = props.schedule && local(millis(props.schedule.start)) === start ? props.schedule.start : new Date(begin).toISOString();
    try {
      const next = await put<OnCall>("/api/v1/oncall/schedule", { members, start: kept, severity, steps, rounds });
      say("Schedule changed");
      props.done(next);
    } catch (problem) {
      fail(words(problem));
    }
  };
  return (
    <Dialog title="On-call schedule" close={props.close} wide>
      <form class="stack" onSubmit={submit}>
        <Failure error={users.error} again={users.again} />
        <Members members={members} users={users.value ?? []} set={setMembers} />
        <label>First week of the first member began (local time; the handover is at this day and hour each week)
          <input type="datetime-local" value={start} required onInput={(event) => setStart(event.currentTarget.value)} /></label>
        <label>Call for severity<select value={severity} onChange={(event) => setSeverity(event.currentTarget.value as Severity)}>
          {SEVERITIES.map((one) => <option value={one}>{one}{one === "critical" ? "" : " and above"}</option>)}</select></label>
        <fieldset><legend>Steps, until somebody acknowledges</legend>
          <ol class="editable">{steps.map((step, n) => (
            <StepFields key={n} step={step} n={n} set={(next) => setSteps(steps.map((one, at) => (at === n ? next : one)))} drop={() => setSteps(steps.filter((_, at) => at !== n))} />
          ))}</ol>
          <button type="button" disabled={steps.length >= 20} onClick={() => setSteps([...steps, FRESH])}>Add a step</button>
        </fieldset>
        <label>How many times to go through the steps<input type="number" min="1" max="100" required value={rounds} onInput={(event) => setRounds(Number(event.currentTarget.value))} /></label>
        <Failure error={error} />
        <footer><button type="button" onClick={props.close}>Cancel</button><button class="primary">Save the schedule</button></footer>
      </form>
    </Dialog>
  );
}
