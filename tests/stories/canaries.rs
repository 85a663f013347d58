//! Secrets that are to be in no log: everything that is logged is kept, and searched for each of them, as it is and in
//! the forms in which one gets away: hexadecimal, base64, lists of numbers.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan, util::SubscriberInitExt};

/// A log, kept in memory.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to log whatever there is to be logged in this process: `ours` at `trace`, others at a level.
    pub fn begin(ours: &[&str], others: &str) -> Self {
        let log = Self::default();
        let kept = log.clone();
        let ours: String = ours.iter().map(|name| format!(",{name}=trace")).collect();
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(format!("{others}{ours}")))
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || kept.clone())
            .finish()
            .try_init()
            .unwrap();
        log
    }

    /// What was logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// The secrets of a run, by what they are.
#[derive(Default)]
pub struct Secrets(Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    /// One more.
    pub fn add(&mut self, what: &'static str, secret: &str) {
        self.add_bytes(what, secret.as_bytes());
    }

    /// One more, that is no text.
    pub fn add_bytes(&mut self, what: &'static str, secret: &[u8]) {
        assert!(secret.len() >= 6, "{what}: {secret:?}");
        self.0.push((what, secret.to_vec()));
    }

    /// One more, out of an answer.
    pub fn add_from(&mut self, what: &'static str, value: &Value) -> String {
        let secret = value.as_str().unwrap().to_owned();
        self.add(what, &secret);
        secret
    }

    /// Of a credential only what follows the last underscore: what comes before is an id, and may be told.
    pub fn add_credential(&mut self, what: &'static str, token: &str) {
        self.add(what, token.rsplit('_').next().unwrap());
    }

    /// Of a signed token only its signature: without it the rest is worth nothing.
    pub fn add_signed(&mut self, what: &'static str, token: &str) {
        self.add(what, token.rsplit('.').next().unwrap());
    }

    /// Which of them are in a text, in any form.
    pub fn in_text(&self, text: &str) -> Vec<&'static str> {
        let has = |secret: &[u8]| forms(secret).iter().any(|form| text.contains(form.as_str()));
        self.0.iter().filter(|(_, s)| has(s)).map(|(what, _)| *what).collect()
    }
}

fn forms(bytes: &[u8]) -> Vec<String> {
    let numbers: Vec<_> = bytes.iter().take(8).map(u8::to_string).collect();
    let mut forms = vec![formats::hash::to_hex(bytes)];
    forms.extend(str::from_utf8(bytes).map(str::to_owned));
    // In base64 the end depends on what follows.
    for engine in [STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
        forms.push(engine.trim_end_matches('=').chars().take(bytes.len()).collect());
    }
    if bytes.len() >= 8 {
        forms.push(numbers.join(", "));
    }
    forms
}
