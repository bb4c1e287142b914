// On call: who it is, who is next, the coming weeks, the schedule, what became of each page.
import { useState } from "preact/hooks";
import type { Rights } from "./app";
import { get } from "./api";
import { link } from "./hash";
import { ScheduleEditor } from "./schedule";
import { millis, plain, seconds, stamp, Text, Time } from "./text";
import type { OnCall, PageRow, Schedule } from "./types";
import { Badge, Empty, Failure, Loading, useFetched } from "./ui";

const WEEK = 7 * 86_400_000;
const WEEKS = 10;
export const TARGETS: Record<string, string> = { on_call: "who is on call", next: "who is next", everyone: "the whole team" };

/** Member of the week that `ahead` weeks after now. */
function turn(schedule: Schedule, ahead: number): { who: string; index: number; begin: number } {
  const start = millis(schedule.start);
  const weeks = Math.floor((Date.now() - start) / WEEK) + ahead;
  const count = schedule.members.length;
  const index = ((weeks % count) + count) % count;
  return { who: schedule.members[index] ?? "", index, begin: start + weeks * WEEK };
}

function Weeks(props: { schedule: Schedule; user: string }) {
  if (!props.schedule.members.length) return null;
  return (
    <ol class="weeks" aria-label="The coming weeks">
      {Array.from({ length: WEEKS }, (_, ahead) => {
        const { who, index, begin } = turn(props.schedule, ahead);
        return (
          <li class={`w${index % 6}${ahead === 0 ? " now" : ""}`} aria-current={ahead === 0 ? "true" : undefined}>
            <span class="small">{ahead === 0 ? "now" : stamp(begin).slice(0, 10)}</span>
            <strong>{plain(who)}{who === props.user && " (you)"}</strong>
            <span class="small muted">until {stamp(begin + WEEK).slice(5, 16)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function wait(s: number): string {
  return s % 60 === 0 ? `${s / 60} min` : `${s} s`;
}

function Steps(props: { schedule: Schedule }) {
  const { schedule } = props;
  return (
    <>
      <p>Alerts of severity <strong>{schedule.severity}</strong> and above call somebody, until one acknowledges:</p>
      <ol class="steps">{schedule.steps.map((step) => <li>{step.channels.join(" and ")} to <strong>{TARGETS[step.target]}</strong>, then wait {wait(step.wait_seconds)}</li>)}</ol>
      <p class="muted small">All steps are gone through {schedule.rounds === 1 ? "once" : `${schedule.rounds} times`}.</p>
    </>
  );
}

function Pages(props: { rows: PageRow[] }) {
  return (
    <table class="plain cards-narrow">
      <thead><tr><th>When</th><th>Who</th><th>How</th><th>Step</th><th>For</th><th>Outcome</th><th>Acknowledged</th></tr></thead>
      <tbody>{props.rows.map(({ page, titles }) => (
        <tr key={page.id}>
          <td class="nowrap"><Time value={page.created} /></td>
          <td data-label="Who">{plain(page.who)}</td>
          <td data-label="How">{page.channel}</td>
          <td data-label="Step" class="nowrap">{page.step}{page.round > 1 && `, round ${page.round}`}</td>
          <td data-label="For" class="grow">{page.alerts.slice(0, 5).map((id, n) => <div><a href={link("alerts", {}, id)}><Text value={titles[n] ?? id} max={120} /></a></div>)}{page.alerts.length > 5 && <span class="muted">and {page.alerts.length - 5} more</span>}</td>
          <td data-label="Outcome"><Badge kind={page.status}>{page.status}</Badge>
            {(page.status !== "sent" || page.attempts.length > 1) && <ol class="attempts small">{page.attempts.map((one) => <li><Time value={one.time} /> <Text value={one.outcome} max={300} /></li>)}</ol>}</td>
          <td data-label="Acknowledged">{page.acknowledged ? <>{plain(page.acknowledged[0])}<div class="muted small"><Time value={page.acknowledged[1]} /></div></> : <span class="muted">not through it</span>}</td>
        </tr>
      ))}</tbody>
    </table>
  );
}

export function OnCallPage(props: { rights: Rights }) {
  const now = useFetched((signal) => get<OnCall>("/api/v1/oncall", signal), [], 15_000);
  const pages = useFetched((signal) => get<PageRow[]>("/api/v1/oncall/pages?limit=200", signal), [], 10_000);
  const [editing, edit] = useState(false);
  const state = now.value;
  return (
    <div class="page">
      <header class="row wrap">
        <h1>On call</h1><span class="spacer" />
        {props.rights.admin && state && <button type="button" onClick={() => edit(true)}>Change the schedule</button>}
      </header>
      <Failure error={now.error} again={now.again} />
      {!state && !now.error && <Loading />}
      {state && !state.schedule && <Empty title="Nobody is on call.">Alerts reach nobody outside this page. {props.rights.admin ? "“Change the schedule” sets up a rotation; members need a mail address under Settings." : "Ask an administrator to set up a rotation."}</Empty>}
      {state?.schedule && <>
        <div class="tiles">
          <div class="card"><span class="muted">On call now</span><strong class="big">{plain(state.on_call ?? "nobody")}</strong></div>
          <div class="card"><span class="muted">Handover in</span><strong class="big">{state.handover ? seconds((millis(state.handover) - Date.now()) / 1000) : "–"}</strong><span class="small muted"><Time value={state.handover} /></span></div>
          <div class="card"><span class="muted">Next</span><strong class="big">{plain(state.next ?? "nobody")}</strong></div>
        </div>
        <Weeks schedule={state.schedule} user={props.rights.user} />
        <section class="card"><h2>Escalation</h2><Steps schedule={state.schedule} /></section>
      </>}
      <section><h2>Pages sent</h2>
        <Failure error={pages.error} again={pages.again} />
        {pages.value?.length ? <Pages rows={pages.value} /> : pages.value && <Empty title="No page was ever sent.">When an alert calls somebody, every attempt to reach them is listed here.</Empty>}
      </section>
      {editing && state && <ScheduleEditor schedule={state.schedule} close={() => edit(false)} done={(next) => { now.setValue(next); edit(false); }} />}
    </div>
  );
}
