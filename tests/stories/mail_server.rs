//! A mail server that can be told, per recipient, to refuse, to hang, to break off, or to take a mail and not say so.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use mail_parser::MessageParser;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How it treats mails to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It takes them.
    Takes,
    /// It refuses the recipient with this answer.
    Refuses(&'static str),
    /// It does not answer to the recipient as long as this is its mood; then it hangs up.
    Hangs,
    /// It hangs up in the middle of the mail.
    BreaksOff,
    /// It takes the mail, and hangs up before it says so.
    SaysNothing,
}

/// A mail that it took.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The `Message-ID`.
    pub message_id: String,
}

impl Mail {
    /// The first link in the text.
    pub fn link(&self) -> &str {
        self.text
            .split_whitespace()
            .find(|word| word.starts_with("http"))
            .unwrap()
    }
}

#[derive(Default)]
struct Kept {
    moods: BTreeMap<String, Mood>,
    mails: Vec<Mail>,
    broken_off: Vec<String>,
    hanging: usize,
    believes: bool,
    sign_ins: usize,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct MailServer {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    changed: watch::Sender<()>,
}

impl MailServer {
    /// Listens on a free port of loopback and takes everything.
    pub async fn begin() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            kept: Arc::default(),
            changed: watch::Sender::new(()),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.converse(stream).await });
            }
        });
        server
    }

    /// Its address as the setting `smtp_url` has it.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The same with credentials, which it takes only while it [believes](Self::believe) them.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("smtp://{user}:{password}@{}", self.address)
    }

    /// Whether it takes credentials from now on. What it does not believe it repeats in its answer.
    pub fn believe(&self, believes: bool) {
        self.kept.lock().unwrap().believes = believes;
    }

    /// How often somebody came with credentials.
    pub fn sign_ins(&self) -> usize {
        self.kept.lock().unwrap().sign_ins
    }

    /// Changes the mood towards an address.
    pub fn treat(&self, to: &str, mood: Mood) {
        self.kept.lock().unwrap().moods.insert(to.to_owned(), mood);
        self.changed.send_replace(());
    }

    /// The mails that it took, in order.
    pub fn mails(&self) -> Vec<Mail> {
        self.kept.lock().unwrap().mails.clone()
    }

    /// The mails to an address that hold this text.
    pub fn mails_to(&self, to: &str, holding: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.to == to && (mail.text.contains(holding) || mail.subject.contains(holding)));
        mails
    }

    /// The `Message-ID`s of the mails that it broke off.
    pub fn broken_off(&self) -> Vec<String> {
        self.kept.lock().unwrap().broken_off.clone()
    }

    /// How many recipients wait for an answer.
    pub fn hanging(&self) -> usize {
        self.kept.lock().unwrap().hanging
    }

    fn mood(&self, to: &str) -> Mood {
        self.kept.lock().unwrap().moods.get(to).copied().unwrap_or(Mood::Takes)
    }

    async fn hang(&self, to: &str) {
        let mut changed = self.changed.subscribe();
        self.kept.lock().unwrap().hanging += 1;
        while self.mood(to) == Mood::Hangs {
            changed.changed().await.unwrap();
        }
        self.kept.lock().unwrap().hanging -= 1;
    }

    /// One connection, until either side hangs up.
    async fn converse(&self, stream: TcpStream) -> Option<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 mail.test\r\n").await.ok()?;
        let mut to = String::new();
        while let Some(line) = lines.next_line().await.ok()? {
            let mut said = String::new();
            let answer = match line.get(..4).unwrap_or_default() {
                "EHLO" => "250-mail.test\r\n250 AUTH PLAIN LOGIN",
                "AUTH" => {
                    let mut kept = self.kept.lock().unwrap();
                    kept.sign_ins += 1;
                    if kept.believes {
                        "235 welcome"
                    } else {
                        said.push_str("535 who is ");
                        said.push_str(&line);
                        &said
                    }
                }
                "RCPT" => {
                    to = line.split_once('<')?.1.split_once('>')?.0.to_owned();
                    match self.mood(&to) {
                        Mood::Refuses(answer) => answer,
                        Mood::Hangs => {
                            self.hang(&to).await;
                            return None;
                        }
                        _ => "250 OK",
                    }
                }
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await.ok()?;
                    let mut raw = String::new();
                    loop {
                        let line = lines.next_line().await.ok()??;
                        if line == "." {
                            break;
                        }
                        raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                        raw.push_str("\r\n");
                        if line.is_empty() && self.mood(&to) == Mood::BreaksOff {
                            let id = read(&to, &raw).message_id;
                            self.kept.lock().unwrap().broken_off.push(id);
                            return None;
                        }
                    }
                    self.kept.lock().unwrap().mails.push(read(&to, &raw));
                    if self.mood(&to) == Mood::SaysNothing {
                        return None;
                    }
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 OK",
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
        Some(())
    }
}

fn read(to: &str, raw: &str) -> Mail {
    let message = MessageParser::default().parse(raw.as_bytes()).unwrap();
    Mail {
        to: to.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
    }
}
