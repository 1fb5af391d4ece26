//! What one field needs.

use credchain_core::Name;

/// One credential that a struct needs: what [`Credentials::fields`](crate::Credentials::fields)
/// lists.
///
/// ```
/// use credchain::Field;
/// let field = Field::literal("port").described("SMTP submission").public().or("587");
/// assert_eq!(field.clone().prefixed("smtp_").name.as_str(), "smtp_port");
/// assert!(!field.required());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// The credential's name.
    pub name: Name,
    /// What it is for.
    pub description: Option<&'static str>,
    /// Whether the struct can do without it.
    pub optional: bool,
    /// Whether it must not be shown.
    pub secret: bool,
    /// Whether an empty value is a value.
    pub allow_empty: bool,
    /// The text that is taken when every link answered that there is none.
    pub default: Option<&'static str>,
}

impl Field {
    /// A required secret.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            description: None,
            optional: false,
            secret: true,
            allow_empty: false,
            default: None,
        }
    }

    /// A required secret whose name is known at compile time to be right.
    ///
    /// # Panics
    /// If it is not; meant for literals.
    pub fn literal(name: &'static str) -> Self {
        match name.parse() {
            Ok(name) => Self::new(name),
            Err(error) => panic!("`{name}` is not a credential's name: {error}"),
        }
    }

    /// The same field, with what it is for.
    pub fn described(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// The same field, as one that the struct can do without.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same field, as one that may be shown and may be empty.
    pub fn public(mut self) -> Self {
        self.secret = false;
        self.allow_empty = true;
        self
    }

    /// The same field, for which an empty value is a value.
    pub fn allow_empty(mut self) -> Self {
        self.allow_empty = true;
        self
    }

    /// The same field, with a default.
    pub fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The same field inside a struct whose names begin with `prefix`.
    ///
    /// # Panics
    /// If the longer name is none; meant for literals.
    pub fn prefixed(mut self, prefix: &'static str) -> Self {
        let name = format!("{prefix}{}", self.name);
        self.name = match name.parse() {
            Ok(name) => name,
            Err(error) => panic!("`{name}` is not a credential's name: {error}"),
        };
        self
    }

    /// Whether loading fails without it.
    pub fn required(&self) -> bool {
        !self.optional && self.default.is_none()
    }
}
