//! Linkerd's HTTPRoute (`policy.linkerd.io`): the Gateway API's, with fewer filters.

use crate::render::traffic::gateway::{Flavour, HTTP};

pub(super) const HTTP_ROUTE: Flavour = Flavour {
    label: "HTTPRoute (Linkerd)",
    group: "policy.linkerd.io",
    backend_filters: false,
    mirror: None,
    matches: 8,
    ..HTTP
};
