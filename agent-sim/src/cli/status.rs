//! `status` and `refresh`: of the running agent, where one runs.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{DOORS, OpenDoors, args::Json, print};
use crate::{
    agent::{Agent, Surroundings},
    disk::DiskError,
    error::AgentError,
};

pub(super) async fn status(dir: &Path, output: &Json, around: Surroundings) -> anyhow::Result<ExitCode> {
    let mut told = None;
    if let Some(doors) = open_doors(dir) {
        let asked = around
            .http
            .get(format!("http://{}/status", doors.listen))
            .timeout(Duration::from_secs(2))
            .send()
            .await;
        if let Ok(reply) = asked {
            told = reply.json::<Value>().await.ok();
        }
    }
    let is_running = told.is_some();
    let mut value = match told {
        Some(value) => value,
        None => serde_json::to_value(Agent::peek(dir, around)?.status())?,
    };
    value["running"] = is_running.into();
    show_status(output.json, &value)?;
    Ok(ExitCode::SUCCESS)
}

fn show_status(as_json: bool, value: &Value) -> anyhow::Result<()> {
    let text = |name: &str| {
        value[name]
            .as_str()
            .map_or_else(|| value[name].to_string(), str::to_owned)
    };
    let snapshot = &value["snapshot"];
    let snapshot = if snapshot.is_null() {
        "none".to_owned()
    } else {
        format!("{}/{}", snapshot["epoch"], snapshot["version"])
    };
    let mut lines = vec![
        ("endpoint", text("endpoint")),
        ("server", text("server")),
        ("online", text("online")),
        ("snapshot", snapshot),
        ("outdated", text("outdated")),
        ("queue", text("queueLength")),
        ("grants", text("grants")),
        ("open requests", text("openRequests")),
    ];
    if let Some(running) = value.get("running") {
        lines.insert(0, ("running", running.to_string()));
    }
    if !value["refusal"].is_null() {
        lines.push(("refusal", text("refusal")));
    }
    print(as_json, value, &lines)
}

pub(super) async fn refresh(dir: &Path, output: &Json, around: Surroundings) -> anyhow::Result<ExitCode> {
    let status = match Agent::open(dir, around) {
        Ok(agent) => {
            agent.sync_once().await?;
            serde_json::to_value(agent.status())?
        }
        Err(AgentError::Disk(DiskError::Busy(_))) => {
            let doors =
                open_doors(dir).context("another process has the agent, and does not say where its doors are")?;
            let http = reqwest::Client::builder()
                .unix_socket(doors.socket)
                .timeout(Duration::from_secs(90))
                .build()?;
            let reply = http.post("http://agent/refresh").send().await?;
            let is_good = reply.status().is_success();
            let answer: Value = reply.json().await?;
            if !is_good {
                bail!("{}", answer["detail"].as_str().unwrap_or("the running agent refused"));
            }
            answer["status"].clone()
        }
        Err(other) => return Err(other.into()),
    };
    show_status(output.json, &status)?;
    Ok(ExitCode::SUCCESS)
}

fn open_doors(dir: &Path) -> Option<OpenDoors> {
    serde_json::from_slice(&std::fs::read(dir.join(DOORS)).ok()?).ok()
}
