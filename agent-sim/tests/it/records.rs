//! Recorded actions: in order, exactly once, and never lost by a crash.

use std::{fs, io::Write};

use portcullis_agent::AgentError;

use crate::{approvals::World, fake::action};

impl World {
    fn record(&self, name: &str) {
        let asked = self.agent.ask(action(name), None).unwrap();
        assert!(self.agent.run(&asked, None).unwrap().is_permitted());
    }

    fn stored(&self) -> Vec<(u64, String)> {
        let told = self.fake.told();
        told.stored
            .iter()
            .map(|r| (r.seq, r.action.application.as_ref().unwrap().path.clone()))
            .collect()
    }
}

fn numbered(names: &[&str]) -> Vec<(u64, String)> {
    names
        .iter()
        .zip(1..)
        .map(|(name, seq)| (seq, format!("/opt/{name}")))
        .collect()
}

#[tokio::test]
async fn records_arrive_in_order_and_once_though_answers_get_lost() {
    let w = World::demanding(&["allow"]).await;
    for name in ["a", "b", "c"] {
        w.record(name);
    }
    w.fake.told().answers_to_lose = 2;
    assert!(matches!(w.agent.deliver().await, Err(AgentError::Offline(_))));
    w.record("d");
    assert!(matches!(w.agent.deliver().await, Err(AgentError::Offline(_))));
    assert_eq!(w.agent.deliver().await.unwrap(), 4);
    assert_eq!(w.agent.deliver().await.unwrap(), 0);
    assert_eq!(w.stored(), numbered(&["a", "b", "c", "d"]));
    assert_eq!(w.fake.told().batches, 3);
}

#[tokio::test]
async fn a_restart_keeps_the_queue_and_the_numbers() {
    let w = World::demanding(&["allow"]).await;
    w.record("a");
    w.agent.deliver().await.unwrap();
    w.record("b");
    let w = w.reopen();
    assert_eq!(w.agent.status().queue_length, 1);
    w.record("c");
    w.agent.deliver().await.unwrap();
    let w = w.reopen();
    w.record("d");
    w.agent.deliver().await.unwrap();
    assert_eq!(w.stored(), numbered(&["a", "b", "c", "d"]));
}

#[tokio::test]
async fn a_record_cut_off_by_a_crash_is_dropped_and_its_number_used_again() {
    let w = World::demanding(&["allow"]).await;
    w.record("a");
    let path = w.dir.path().join("state/activity.ndjson");
    let whole = fs::read(&path).unwrap();
    w.record("b");
    let both = fs::read(&path).unwrap();
    // Whatever part of the second record reached the disk, the first one is whole and the second one is or is not.
    let mut w = w;
    for end in [whole.len() + 1, both.len() - 2, both.len() - 1] {
        fs::write(&path, &both[..end]).unwrap();
        w = w.reopen();
        assert_eq!(w.agent.status().queue_length, 1, "{end} bytes");
    }
    w.record("c");
    w.agent.deliver().await.unwrap();
    assert_eq!(w.stored(), numbered(&["a", "c"]));
}

#[tokio::test]
async fn a_damaged_queue_stops_the_agent_instead_of_losing_records() {
    let w = World::demanding(&["allow"]).await;
    w.record("a");
    w.record("b");
    let path = w.dir.path().join("state/activity.ndjson");
    let text = fs::read_to_string(&path).unwrap().replacen("\"seq\":1", "\"seq\":x", 1);
    let (fake, dir) = (w.fake, w.dir);
    drop(w.agent);
    fs::write(&path, text).unwrap();
    let error = portcullis_agent::Agent::open(&dir.path().join("state"), fake.around()).unwrap_err();
    assert!(
        matches!(error, AgentError::Disk(_)) && error.to_string().contains("activity.ndjson"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_has_more_than_was_numbered_here_moves_the_numbers_up() {
    let w = World::demanding(&["allow"]).await;
    for name in ["a", "b", "c"] {
        w.record(name);
    }
    let path = w.dir.path().join("state/activity.ndjson");
    let backup = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .take(2)
        .fold(String::new(), |all, line| all + line + "\n");
    w.agent.deliver().await.unwrap();
    fs::write(&path, backup).unwrap();
    let w = w.reopen();
    w.agent.deliver().await.unwrap();
    w.record("d");
    w.agent.deliver().await.unwrap();
    assert_eq!(w.stored(), numbered(&["a", "b", "c", "d"]));
}

#[tokio::test]
async fn an_action_that_cannot_be_recorded_does_not_go_on() {
    let w = World::demanding(&["approval"]).await;
    w.granted(|_| {}).await;
    let state = w.dir.path().join("state");
    // The grant's file can't be replaced: something else is in its place.
    fs::remove_file(state.join("grants.json")).unwrap();
    fs::create_dir(state.join("grants.json")).unwrap();
    fs::File::create(state.join("grants.json/x"))
        .unwrap()
        .write_all(b"x")
        .unwrap();
    assert!(matches!(w.agent.run(&w.ask(), None), Err(AgentError::Disk(_))));
    assert_eq!(w.agent.status().queue_length, 0);
}

#[tokio::test]
async fn large_batches_are_split() {
    let w = World::demanding(&["allow"]).await;
    for n in 0..501 {
        w.record(&format!("tool-{n}"));
    }
    assert_eq!(w.agent.deliver().await.unwrap(), 501);
    let told = w.fake.told();
    assert_eq!((told.batches, told.stored.len()), (2, 501));
}
