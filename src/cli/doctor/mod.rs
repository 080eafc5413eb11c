//! `windlass doctor`: what would go wrong, and how to mend it.

mod environment;
mod show;

use std::time::Duration;

use super::args::{DoctorArgs, Global, Output};
use super::exit::{Exit, Failure};
use super::open;
use super::terminal::{DIM, Terminal, styled};
use crate::forge;
use crate::git::{Credentials, Options};
use crate::observe::ClusterReader;
use crate::reconcile::doctor::{Area, Finding, Level, Means, Report};
use crate::reconcile::{RealWorld, Reconciler, Surroundings as _};

/// For one request to a forge.
const ASKING: Duration = Duration::from_secs(10);

pub(super) fn run(terminal: &mut Terminal, global: &Global, args: &DoctorArgs) -> Result<Exit, Failure> {
    let world = open::world(global)?;
    let already = environment::environment(global);
    let report = match opened(global, &world, args) {
        Err(failure) => {
            let mut finding = Finding::error("repository", Area::Repository, "the repository", failure.text)
                .so("nothing can be done without the repository");
            if !failure.hints.is_empty() {
                finding = finding.mend(failure.hints.join("; "));
            }
            Report::new(already.into_iter().chain([finding]).collect())
        }
        Ok((mut reconciler, options)) => {
            let ask = |branch: &str| -> Option<Result<forge::Told, String>> {
                let address = options.address.reveal();
                let access = access(&options, &without_credentials(address));
                (!open::is_folder(address)).then(|| forge::ask(&access, branch, &|| world.now().as_second()))
            };
            let shows = terminal.live && terminal.output == Output::Human;
            let mut progress = |what: &str| {
                if shows {
                    terminal.note(styled(DIM, format!("looking at {what} …")));
                }
            };
            let mut means = Means {
                cluster: ClusterReader::connect(world.kubernetes()),
                forge: &ask,
                metric_sources: world.source_names(),
                progress: &mut progress,
            };
            reconciler.examine(&mut means, already)
        }
    };
    show::show(terminal, &report);
    let failed =
        report.count(Level::Error) > 0 || (args.strict && report.count(Level::Warning) + report.count(Level::Unknown) > 0);
    Ok(if failed { Exit::Findings } else { Exit::Done })
}

/// Mirrors of its own, thrown away at the end: what `run` remembers of the branch is not touched. With how the repository is reached
/// that has the live branch.
fn opened<'a>(global: &Global, world: &'a RealWorld, args: &DoctorArgs) -> Result<(Reconciler<'a>, Options), Failure> {
    let apart = Global { cache: None, ..global.clone() };
    let remote = open::remote_address(&apart)?;
    let options = open::live_options(&apart, &remote).unwrap_or_else(|| open::options(&apart, remote));
    let mut reconciler = open::reconciler(&apart, world)?;
    reconciler.only = args.app.app.iter().cloned().collect();
    Ok((reconciler, options))
}

/// The address without what may be credentials.
fn without_credentials(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{}://{}/{}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase(), path.trim_matches('/'))
        }
        None => address.to_owned(),
    }
}

fn access(options: &Options, address: &str) -> forge::Access {
    let (user, token) = match &options.credentials {
        Some(Credentials::Token(token)) => (None, Some(token.reveal().to_owned())),
        Some(Credentials::Basic { user, password }) => (Some(user.clone()), Some(password.reveal().to_owned())),
        None => in_address(options),
    };
    forge::Access {
        address: address.to_owned(),
        token,
        user,
        proxy: options.network.proxy.as_ref().map(|proxy| proxy.reveal().to_owned()),
        no_proxy: options.network.no_proxy.clone(),
        certificate_authorities: options.network.certificate_authorities.clone(),
        timeout: ASKING,
    }
}

/// User and password, or the lone token, of an address that holds them.
fn in_address(options: &Options) -> (Option<String>, Option<String>) {
    let authority =
        options.address.reveal().split_once("://").filter(|(scheme, _)| scheme.to_ascii_lowercase().starts_with("http"));
    let authority = authority.and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return (None, None) };
    match user.split_once(':') {
        Some((name, password)) if !password.is_empty() => (Some(name.to_owned()), Some(password.to_owned())),
        _ if user.is_empty() => (None, None),
        _ => (None, Some(user.trim_end_matches(':').to_owned())),
    }
}
