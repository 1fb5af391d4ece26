#![doc = include_str!("../README.md")]

mod child;
mod config;
mod environment;
mod output;
mod pipe;
mod plugin;
mod recipe;
mod rules;
mod run;
mod session;
mod settings;
mod template;
mod time;
mod tool;
mod wire;

use std::fmt;
use std::sync::Arc;

use credchain_core::{Provider, Registration, Result, Setup, TrustNeed, register_provider};

pub use crate::recipe::presets;
pub use crate::wire::PROTOCOL_VERSION;

use crate::config::Mode;

register_provider!(
    Registration::new(
        "command",
        "a plugin or another tool, run as a program",
        settings::CAPABILITIES,
        |setup| Command::new(setup).build(),
    )
    .with_settings(settings::SETTINGS)
    .with_trust(TrustNeed::Always)
    .with_patience(config::patience)
);

/// Builds the provider: a plugin, a preset or a tool of the user's own, as the settings say.
pub struct Command {
    setup: Setup,
    without: Vec<String>,
}

impl Command {
    /// A provider from these settings. The variables that the set-up withholds do not reach the
    /// program.
    pub fn new(setup: Setup) -> Self {
        let without = setup.withheld.clone();
        Self { setup, without }
    }

    /// Keeps more variables of the caller's environment from the program, such as those that hold
    /// the credentials that other links log in with.
    pub fn without_variables<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.without.extend(names.into_iter().map(Into::into));
        self
    }

    /// The provider. Nothing is started before the first request.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`](credchain_core::Kind::Misconfigured) for settings that contradict
    /// each other.
    pub fn build(self) -> Result<Arc<dyn Provider>> {
        let (common, mode) = config::parse(self.setup, self.without)?;
        Ok(match mode {
            Mode::Plugin(settings) => Arc::new(plugin::Plugin::new(common, settings)),
            Mode::Tool(settings) => Arc::new(tool::Tool::new(common, *settings)),
        })
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("link", &self.setup.link)
            .finish_non_exhaustive()
    }
}
