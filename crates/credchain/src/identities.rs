//! The private keys that open a project's stores.

use std::path::PathBuf;

use credchain_config::ProviderSpec;
use credchain_core::Setup;
use credchain_provider_age::StoreSettings;

use crate::Credchain;

impl Credchain {
    /// The files that hold the private keys of this project's age stores, there or not: what
    /// `CREDCHAIN_IDENTITY_FILE` names, else what the settings of each store name. A store that
    /// may not be used without the user's trust names none.
    pub fn identity_files(&self) -> Vec<PathBuf> {
        let cx = self.resolver().context();
        if let Some(named) = cx.env().get("CREDCHAIN_IDENTITY_FILE") {
            return vec![PathBuf::from(named)];
        }
        let project = self.project();
        let stores = project.providers.values();
        let usable = |spec: &&ProviderSpec| {
            spec.type_name == "age" && self.verdict().link(&spec.name).is_none()
        };
        let mut files = Vec::new();
        for spec in stores.filter(usable) {
            let setup = Setup::new(spec.name.clone())
                .with_settings(spec.settings.clone())
                .in_project(project.for_providers())
                .with_context(cx.clone());
            // A store whose settings cannot be used opens nothing, and says so when it is asked.
            let settings = StoreSettings::from_setup(&setup);
            files.extend(settings.iter().flat_map(StoreSettings::identities).cloned());
        }
        files.sort_unstable();
        files.dedup();
        files
    }
}
