//! An aggregate to test with: it has personal data, a unique value, and a state that depends on every event.

use cqrs_es::event_sink::EventSink;
use formats::PersonId;
use model::{ClaimChange, EventData, Noun, Personal};
use serde::{Deserialize, Serialize};

pub const EMAIL: &str = "member.email";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub person: Option<PersonId>,
    pub active: bool,
    /// Depends on the order of all events.
    pub trace: u64,
    pub events: u64,
}

#[derive(Debug, Clone)]
pub enum Command {
    Join {
        person: PersonId,
        name: String,
        email: String,
    },
    Count {
        by: u64,
    },
    /// Several events at once.
    Burst {
        events: u64,
    },
    ChangeEmail {
        email: String,
    },
    Leave,
    /// Decides that there is nothing to do.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    Joined {
        person: PersonId,
        name: Personal<String>,
        email: Personal<String>,
    },
    Counted {
        by: u64,
    },
    EmailChanged {
        person: PersonId,
        email: Personal<String>,
    },
    Left {},
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("joined already")]
    Joined,
    #[error("not a member")]
    NotMember,
}

impl cqrs_es::DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Joined { .. } => "Joined",
            Self::Counted { .. } => "Counted",
            Self::EmailChanged { .. } => "EmailChanged",
            Self::Left {} => "Left",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl EventData for Event {
    fn person(&self) -> Option<PersonId> {
        match self {
            Self::Joined { person, .. } | Self::EmailChanged { person, .. } => Some(*person),
            Self::Counted { .. } | Self::Left {} => None,
        }
    }

    fn claims(&self) -> Vec<ClaimChange> {
        let take = |email: &Personal<String>| {
            email.get().map(|value| ClaimChange::Take {
                space: EMAIL,
                value: value.to_lowercase(),
            })
        };
        let release = ClaimChange::ReleaseAll { space: EMAIL };
        match self {
            Self::Joined { email, .. } => take(email).into_iter().collect(),
            Self::EmailChanged { email, .. } => std::iter::once(release).chain(take(email)).collect(),
            Self::Left {} => vec![release],
            Self::Counted { .. } => vec![],
        }
    }
}

impl cqrs_es::Aggregate for Member {
    const TYPE: &'static str = "member";
    type Command = Command;
    type Event = Event;
    type Error = Error;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), Error> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        let number = match event {
            Event::Joined { person, .. } => {
                (self.person, self.active) = (Some(person), true);
                1
            }
            Event::Counted { by } => by.wrapping_add(2),
            Event::EmailChanged { .. } => 3,
            Event::Left {} => {
                self.active = false;
                4
            }
        };
        self.events += 1;
        // Kept below 2^53, as all integers that are stored.
        self.trace = (self.trace.wrapping_mul(31).wrapping_add(number)) % (1 << 50);
    }
}

impl Noun for Member {
    fn decide(&self, command: Command) -> Result<Vec<Event>, Error> {
        if let Command::Join { person, name, email } = command {
            let joined = Event::Joined {
                person,
                name: Personal::new(name),
                email: Personal::new(email),
            };
            return if self.person.is_some() {
                Err(Error::Joined)
            } else {
                Ok(vec![joined])
            };
        }
        let person = self.person.filter(|_| self.active).ok_or(Error::NotMember)?;
        Ok(match command {
            Command::Count { by } => vec![Event::Counted { by }],
            Command::Burst { events } => (0..events).map(|by| Event::Counted { by }).collect(),
            Command::ChangeEmail { email } => vec![Event::EmailChanged {
                person,
                email: Personal::new(email),
            }],
            Command::Leave => vec![Event::Left {}],
            Command::Nothing | Command::Join { .. } => vec![],
        })
    }
}
