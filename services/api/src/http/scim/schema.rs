//! The attributes that are kept, as tables: what `/Schemas` tells, how filters compare, what bodies are read by. An
//! attribute that stands in no table is ignored wherever it comes.

use serde_json::{Value, json};

/// The schema of users (RFC 7643 § 4.1).
pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of groups (RFC 7643 § 4.2).
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The extension of users for enterprises (RFC 7643 § 4.3).
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What an attribute's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text that compares without case.
    Text,
    /// A text that compares exactly.
    Exact,
    /// The address of something: of a kind of resource, `external` or `uri`.
    Reference(&'static str),
    /// A truth value.
    Boolean,
    /// A moment.
    DateTime,
    /// An object of these.
    Complex(&'static [Attribute]),
}

/// An attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) many: bool,
    pub(super) required: bool,
    pub(super) read_only: bool,
    unique: bool,
    always: bool,
    about: &'static str,
}

const fn of(name: &'static str, kind: Kind, about: &'static str) -> Attribute {
    Attribute {
        name,
        kind,
        many: false,
        required: false,
        read_only: false,
        unique: false,
        always: false,
        about,
    }
}

impl Attribute {
    const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    const fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// The attributes inside; empty where there are none.
    pub(super) const fn inside(&self) -> &'static [Self] {
        match self.kind {
            Kind::Complex(inside) => inside,
            _ => &[],
        }
    }

    fn describe(&self) -> Value {
        let (kind, exact) = match self.kind {
            Kind::Text => ("string", false),
            Kind::Exact => ("string", true),
            Kind::Reference(_) => ("reference", true),
            Kind::Boolean => ("boolean", false),
            Kind::DateTime => ("dateTime", false),
            Kind::Complex(_) => ("complex", false),
        };
        let mut described = json!({
            "name": self.name, "type": kind, "multiValued": self.many, "description": self.about,
            "required": self.required, "caseExact": exact,
            "mutability": if self.read_only { "readOnly" } else { "readWrite" },
            "returned": if self.always { "always" } else { "default" },
            "uniqueness": if self.unique { "server" } else { "none" },
        });
        match self.kind {
            Kind::Complex(inside) => described["subAttributes"] = inside.iter().map(Self::describe).collect(),
            Kind::Reference(to) => described["referenceTypes"] = json!([to]),
            _ => {}
        }
        described
    }
}

const NAME: &[Attribute] = &[
    of("formatted", Kind::Text, "The whole name"),
    of("familyName", Kind::Text, "The family name"),
    of("givenName", Kind::Text, "The given name"),
    of("middleName", Kind::Text, "The middle name"),
    of("honorificPrefix", Kind::Text, "What stands before the name"),
    of("honorificSuffix", Kind::Text, "What stands after the name"),
];
const PLURAL: &[Attribute] = &[
    of("value", Kind::Text, "The value"),
    of("display", Kind::Text, "The value for people"),
    of("type", Kind::Text, "What it is used for, such as work"),
    of("primary", Kind::Boolean, "Whether it is the first choice; one at most"),
];
const EMAIL: &[Attribute] = &[
    of("value", Kind::Text, "The address").required(),
    of("display", Kind::Text, "The address for people"),
    of("type", Kind::Text, "What it is used for, such as work"),
    of("primary", Kind::Boolean, "Whether it is the first choice; one at most"),
];
const ADDRESS: &[Attribute] = &[
    of("formatted", Kind::Text, "The whole address"),
    of("streetAddress", Kind::Text, "Street and number"),
    of("locality", Kind::Text, "City"),
    of("region", Kind::Text, "State or region"),
    of("postalCode", Kind::Text, "Postal code"),
    of("country", Kind::Text, "Country"),
    of("type", Kind::Text, "What it is used for, such as work"),
    of("primary", Kind::Boolean, "Whether it is the first choice; one at most"),
];
const OF_USER: &[Attribute] = &[
    of("value", Kind::Exact, "The group's id").read_only(),
    of("$ref", Kind::Reference("Group"), "The group's address").read_only(),
    of("display", Kind::Text, "The group's name").read_only(),
    of("type", Kind::Text, "Always direct").read_only(),
];
const MEMBER: &[Attribute] = &[
    of("value", Kind::Exact, "The user's id"),
    of("$ref", Kind::Reference("User"), "The user's address"),
    of("display", Kind::Text, "What the user is called").read_only(),
    of("type", Kind::Text, "Always User").read_only(),
];
const MANAGER: &[Attribute] = &[
    of("value", Kind::Exact, "The manager's id"),
    of("$ref", Kind::Reference("User"), "The manager's address"),
    of("displayName", Kind::Text, "What the manager is called"),
];
const META: &[Attribute] = &[
    of("resourceType", Kind::Exact, "User or Group").read_only(),
    of("created", Kind::DateTime, "When it was made").read_only(),
    of("lastModified", Kind::DateTime, "When it changed last").read_only(),
    of("location", Kind::Reference("uri"), "Its address").read_only(),
    of("version", Kind::Exact, "Its ETag").read_only(),
];

/// What every resource has (RFC 7643 § 3.1). The schemas don't tell it.
const COMMON: &[Attribute] = &[
    of("schemas", Kind::Exact, "The schemas").many().read_only().always(),
    of("id", Kind::Exact, "The id here").read_only().unique().always(),
    of("externalId", Kind::Exact, "The id at the identity provider"),
    of("meta", Kind::Complex(META), "About the resource").read_only(),
];

const USERS: &[Attribute] = &[
    of(
        "userName",
        Kind::Text,
        "The name at the identity provider, unique without case",
    )
    .required()
    .unique(),
    of("name", Kind::Complex(NAME), "The parts of the name"),
    of("displayName", Kind::Text, "What people see"),
    of("nickName", Kind::Text, "What they are called among friends"),
    of("profileUrl", Kind::Reference("external"), "Their page"),
    of("title", Kind::Text, "Their title"),
    of("userType", Kind::Text, "Such as employee"),
    of("preferredLanguage", Kind::Text, "The language they like"),
    of("locale", Kind::Text, "How dates and numbers are written for them"),
    of("timezone", Kind::Text, "Where their clocks are"),
    of("active", Kind::Boolean, "Whether the account can be used"),
    of(
        "emails",
        Kind::Complex(EMAIL),
        "E-mail addresses; mails go to the primary one, else to that of type work. A userName that is one will do",
    )
    .many()
    .required(),
    of("phoneNumbers", Kind::Complex(PLURAL), "Telephone numbers").many(),
    of("ims", Kind::Complex(PLURAL), "Addresses of messengers").many(),
    of("photos", Kind::Complex(PLURAL), "Addresses of pictures").many(),
    of("addresses", Kind::Complex(ADDRESS), "Postal addresses").many(),
    of("groups", Kind::Complex(OF_USER), "The groups they are in")
        .many()
        .read_only(),
];

const ENTERPRISES: &[Attribute] = &[
    of("employeeNumber", Kind::Text, "Their number in the company"),
    of("costCenter", Kind::Text, "Their cost center"),
    of("organization", Kind::Text, "Their organisation"),
    of("division", Kind::Text, "Their division"),
    of("department", Kind::Text, "Their department"),
    of("manager", Kind::Complex(MANAGER), "Who leads them"),
];

const GROUPS: &[Attribute] = &[
    of("displayName", Kind::Text, "The name, unique without case")
        .required()
        .unique(),
    of("members", Kind::Complex(MEMBER), "Who is in it").many(),
];

/// The attribute of the users' resource that holds the extension.
const EXTENSION: Attribute = of(ENTERPRISE, Kind::Complex(ENTERPRISES), "Enterprise user");

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// A user.
    User,
    /// A group.
    Group,
}

impl Resource {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    pub(super) const fn address(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The attribute of this name, whatever its case; that of the extension by the extension's own name.
    pub(super) fn attribute(self, name: &str) -> Option<&'static Attribute> {
        let own = match self {
            Self::User => USERS,
            Self::Group => GROUPS,
        };
        if self == Self::User && name.eq_ignore_ascii_case(ENTERPRISE) {
            return Some(&EXTENSION);
        }
        named(own, name).or_else(|| named(COMMON, name))
    }
}

/// The attribute of this name in a table, whatever its case.
pub(super) fn named(table: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    table.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// All schemas, as `/Schemas` tells them.
pub(super) fn schemas(base: &str) -> Vec<Value> {
    [
        (USER, "User", "A person with an account", USERS),
        (GROUP, "Group", "A team that the identity provider keeps", GROUPS),
        (
            ENTERPRISE,
            "EnterpriseUser",
            "What enterprises say of a person",
            ENTERPRISES,
        ),
    ]
    .into_iter()
    .map(|(id, name, about, table)| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id, "name": name, "description": about,
            "attributes": table.iter().map(Attribute::describe).collect::<Value>(),
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{id}") },
        })
    })
    .collect()
}
