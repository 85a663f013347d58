//! What the event store needs to know of an aggregate, on top of the traits of `cqrs-es`.

use cqrs_es::{Aggregate, DomainEvent};
use formats::{PersonId, Timestamp};

/// An aggregate whose decisions are pure.
pub trait Noun:
    Aggregate<Services = (), Event: EventData, Command: Clone + Send + Sync, Error: Send + Sync>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// The version of the state's meaning. Raise it when `fold` changes what it makes of the same events, so that stored
    /// snapshots of the state are made anew.
    const STATE: u32 = 1;

    /// What follows from a command in this state: the events, none where nothing changes, or the rule it breaks.
    ///
    /// # Errors
    /// The rule that was broken, as one closed enum per aggregate.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// What the store asks of every event.
pub trait EventData: DomainEvent {
    /// Whom the personal data of this event is about. Required where a field is [`crate::Personal`].
    fn person(&self) -> Option<PersonId> {
        None
    }

    /// When it happened, where that is not when it was recorded (timers, endpoints).
    fn occurred_at(&self) -> Option<Timestamp> {
        None
    }

    /// Unique values that are taken or freed together with this event.
    fn claims(&self) -> Vec<ClaimChange> {
        Vec::new()
    }
}

/// A change to the tenant's unique values. The store keeps them as HMACs under a tenant key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimChange {
    /// This stream takes the value; refused with the holder's stream where another has it.
    Take {
        /// The kind of value, such as `user.email`.
        space: &'static str,
        /// The value, already folded to the form in which it is unique.
        value: String,
    },
    /// This stream gives back whatever it holds in the space.
    ReleaseAll {
        /// The kind of value.
        space: &'static str,
    },
}

/// Implements the traits of `cqrs-es` for an aggregate with a pure `decide`.
macro_rules! aggregate {
    ($noun:ident, $type:literal, $command:ty, $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $noun {
            const TYPE: &'static str = $type;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in <Self as $crate::Noun>::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.fold(event);
            }
        }
    };
}

/// Declares an aggregate's events: an enum, and one struct per variant.
macro_rules! events {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)?
        })*
    }) => {
        $(
            $(#[$variant_meta])*
            #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub struct $variant {
                $($(#[$field_meta])* pub $field: $type,)*
            }

            impl From<$variant> for $name {
                fn from(event: $variant) -> Self {
                    Self::$variant(event)
                }
            }
        )*

        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "type", content = "data")]
        pub enum $name {
            $($(#[$variant_meta])* $variant($variant),)*
        }

        impl $name {
            /// The names of all event types of this aggregate.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($variant)),*];

            /// The fields of each event type and their Rust types, for the JSON schemas.
            pub const FIELDS: &'static [(&'static str, &'static [(&'static str, &'static str)])] =
                &[$((stringify!($variant), &[$((stringify!($field), stringify!($type))),*])),*];
        }

        impl cqrs_es::DomainEvent for $name {
            fn event_type(&self) -> String {
                match self {
                    $(Self::$variant(_) => stringify!($variant),)*
                }
                .to_owned()
            }

            fn event_version(&self) -> String {
                "1".to_owned()
            }
        }
    };
}

pub(crate) use {aggregate, events};
