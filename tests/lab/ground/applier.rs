//! The appliers that every case is played with.

use crate::lab::servers::Lab;
use crate::lab::{argo, flux};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applier {
    Flux,
    ArgoCd,
}

impl Applier {
    /// Its name in the names of cases, and of its objects.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Flux => "flux",
            Self::ArgoCd => "argo",
        }
    }

    /// How Windlass learns what was applied (`observe` in `.windlass.yaml`). `_name` is that of the applier's objects.
    pub(super) fn observe(self, _name: &str) -> String {
        match self {
            Self::Flux | Self::ArgoCd => "{kubernetes: {}}".to_owned(),
        }
    }

    /// Lets it apply `path` of the branch `deploy` from now on.
    pub(super) fn start(self, lab: &Lab, name: &str, url: &str, path: &str, namespace: &str) {
        match self {
            Self::Flux => flux::apply_url(lab, name, url, "deploy", path, None),
            Self::ArgoCd => argo::apply_url(lab, name, url, "deploy", path, namespace),
        }
    }

    /// Suspends it, as its users do, or resumes it.
    pub(super) fn set(self, lab: &Lab, name: &str, up: bool) {
        let (namespace, kind, patch) = match self {
            Self::Flux => (lab.var("LAB_FLUX_NAMESPACE"), "kustomization", format!(r#"{{"spec": {{"suspend": {}}}}}"#, !up)),
            Self::ArgoCd => {
                let automated = if up { r#"{"prune": true, "selfHeal": true}"# } else { "null" };
                let patch = format!(r#"{{"spec": {{"syncPolicy": {{"automated": {automated}}}}}}}"#);
                (lab.var("LAB_ARGO_NAMESPACE"), "application", patch)
            }
        };
        lab.kubectl(&["-n", namespace, "patch", kind, name, "--type=merge", "--patch", &patch]);
    }

    /// It looks at the repository no more; what it has applied stays.
    pub(super) fn leave(self, lab: &Lab, name: &str) {
        self.set(lab, name, false);
        let (namespace, kinds) = match self {
            // A suspended Kustomization prunes nothing when it is deleted.
            Self::Flux => (lab.var("LAB_FLUX_NAMESPACE"), "kustomization,gitrepository"),
            Self::ArgoCd => (lab.var("LAB_ARGO_NAMESPACE"), "application"),
        };
        let _ = lab.try_kubectl(&["-n", namespace, "delete", kinds, name, "--wait=false", "--ignore-not-found"], "");
    }
}
