//! `tls`: nobody on the way reads or changes what stores answer.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use credchain::config::{OAuth2Spec, ProviderSpec};
use credchain::{Credchain, Setting, Shape, format_duration};

use super::{Report, Site, certificate, tree};

/// A certificate that ends within this time is worth a word.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Larger than all authorities of a system together.
const LARGEST: u64 = 8 << 20;

/// The variables that name a server where the settings do not, by provider type.
const ADDRESSES: [(&str, &[&str]); 1] = [("vault", &["VAULT_ADDR", "BAO_ADDR"])];

/// Whether every store is spoken to over TLS, with its certificate checked, and by an authority
/// whose certificate lasts.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let Ok(project) = site.project() else {
        return Report::skipped("the configuration has mistakes");
    };
    let mut report = Report::default();
    for spec in project.project().providers.values() {
        provider(site, project, spec, &mut report);
    }
    for spec in project.project().oauth2.values() {
        token(site, project, spec, &mut report);
    }
    report
}

/// What a token is asked with.
fn token(site: &Site<'_>, project: &Credchain, spec: &OAuth2Spec, report: &mut Report) {
    for (key, url) in [
        ("token_url", &spec.token_url),
        ("issuer", &spec.issuer),
        ("device_url", &spec.device_url),
        ("authorization_url", &spec.authorization_url),
        ("revocation_url", &spec.revocation_url),
    ] {
        if url.as_deref().is_some_and(is_plain) {
            report.problem(
                format!("`{key}` of `[oauth2.{}]` is plain HTTP", spec.name),
                format!("an address with `https://` in `[oauth2.{}]`", spec.name),
            );
        }
    }
    if let Some(ca) = &spec.ca {
        authority(site, project, &project.project().base().join(ca), report);
    }
}

/// What a store is asked with.
fn provider(site: &Site<'_>, project: &Credchain, spec: &ProviderSpec, report: &mut Report) {
    let link = &spec.name;
    let on = |key| spec.settings.bool(key).ok().flatten() == Some(true);
    if on("skip_verify") {
        report.problem(
            format!("`skip_verify` of `[providers.{link}]` takes any certificate"),
            format!(
                "`ca` in `[providers.{link}]` with the server's authority, and no `skip_verify`"
            ),
        );
    }
    if let Some(ca) = spec.settings.text("ca").ok().flatten() {
        let of_providers = project.project().for_providers();
        let path = of_providers.base().join(of_providers.expand(ca));
        authority(site, project, &path, report);
    }
    let https = || format!("an address with `https://` in `[providers.{link}]`");
    let settings = project.registry().get(&spec.type_name);
    let urls = settings.into_iter().flat_map(|one| one.settings);
    let mut has_url = false;
    for setting in urls.filter(|setting| is_url(setting)) {
        let url = spec.settings.text(setting.key).ok().flatten();
        has_url |= url.is_some();
        if url.is_some_and(is_plain) {
            report.problem(
                format!("`{}` of `[providers.{link}]` is plain HTTP", setting.key),
                https(),
            );
        }
    }
    let variables = ADDRESSES
        .iter()
        .filter(|(of, _)| *of == spec.type_name && !has_url);
    let set = variables
        .flat_map(|(_, names)| *names)
        .find_map(|name| Some((name, site.env().text(name)?)));
    if let Some((name, _)) = set.filter(|(_, url)| is_plain(url)) {
        report.problem(
            format!("`{name}`, the address of `{link}`, is plain HTTP"),
            format!("an address with `https://` in `{name}`"),
        );
    }
}

/// Whether the certificates that a server's must come from have ended, or soon will.
fn authority(site: &Site<'_>, project: &Credchain, path: &Path, report: &mut Report) {
    let text = tree::text(path, LARGEST);
    let Some(end) = text.and_then(|text| certificate::last_end(&text)) else {
        return;
    };
    let now = project.resolver().context().clock().now();
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let shown = site.shown(path);
    let problem = match end.checked_sub(now) {
        None => format!("the authority in `{shown}` has ended"),
        Some(left) if left < SOON => {
            let left = format_duration(Duration::from_secs(left.as_secs() / 3600 * 3600));
            format!("the authority in `{shown}` ends in {left}")
        }
        Some(_) => return,
    };
    report.problem(problem, format!("a new certificate in {}", site.word(path)));
}

fn is_url(setting: &Setting) -> bool {
    matches!(setting.shape, Shape::Url)
}

/// Whether an address is plain HTTP to another machine.
fn is_plain(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = |host: &str| {
        let address = host.parse::<std::net::IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
    };
    !host.eq_ignore_ascii_case("localhost") && !is_loopback(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_fine_on_this_machine_only() {
        for (url, plain) in [
            ("https://vault.example.com", false),
            ("unix:///run/vault.sock", false),
            ("http://127.0.0.1:8200", false),
            ("http://[::1]:8200/x", false),
            ("http://LOCALHOST", false),
            ("http://vault.internal:8200", true),
            ("HTTP://10.0.0.1", true),
            ("http://localhost@example.com", true),
            ("http://127.0.0.1.example.com", true),
        ] {
            assert_eq!(is_plain(url), plain, "{url}");
        }
    }
}
