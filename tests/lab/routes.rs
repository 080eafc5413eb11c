//! Every object that a step makes of an Ingress, a route of the Gateway API or one of Istio's is taken by a real API server, which
//! knows their schemas: strict about fields, and with the rules that these kinds carry.

use windlass::manifest::write;
use windlass::render::traffic::{add_canary_service, check_shared, describe, describe_shared, route, share};

use super::servers::Lab;
use crate::traffic::samples::{by_subsets, questions, samples};
use crate::traffic::selector;

/// Groups whose schemas the lab has.
const GROUPS: [&str; 3] = ["networking.k8s.io", "gateway.networking.k8s.io", "networking.istio.io"];

#[test]
fn the_api_server_takes_every_object_of_every_step() {
    let Some(lab) = Lab::up(&["routes"]) else { return };
    let take = |text: &str| {
        let args = ["apply", "--dry-run=server", "--validate=strict", "-n", "shop", "-f", "-"];
        lab.try_kubectl(&args, text)
    };
    let mut taken = 0;
    let mut wrong = Vec::new();
    for sample in samples() {
        let before = sample.set();
        let routes: Vec<_> = before.values().filter(|object| GROUPS.contains(&object.group())).collect();
        // What the sample's author wrote must be sound, or nothing is said about what became of it.
        let unsound: Vec<String> = routes.iter().filter_map(|object| take(&write(object)).err()).collect();
        if routes.is_empty() || !unsound.is_empty() {
            wrong.extend(unsound.into_iter().map(|error| format!("the sample {}: {error}", sample.name)));
            continue;
        }
        let mut asked: Vec<String> = Vec::new();
        for (_, _, question) in questions() {
            let mut after = before.clone();
            if route(&mut after, &sample.routing, &question).is_err() {
                continue;
            }
            for object in after.values().filter(|object| before.get(&object.key()) != Some(*object)) {
                let text = write(object);
                if asked.contains(&text) {
                    continue;
                }
                match take(&text) {
                    Ok(_) => taken += 1,
                    Err(error) => wrong.push(format!("{}, {}: {error}\n{text}", sample.name, describe(&question))),
                }
                asked.push(text);
            }
        }
    }
    for sample in samples() {
        let before = sample.set();
        for shared in crate::traffic::shared::questions(&sample.routing) {
            let known = before.values().any(|object| GROUPS.contains(&object.group()));
            if !known || !check_shared(&before, &shared).is_empty() {
                continue;
            }
            for object in share(&before, [&shared]).unwrap().values() {
                match take(&write(object)) {
                    Ok(_) => taken += 1,
                    Err(error) => wrong.push(format!("{}, {}: {error}", sample.name, describe_shared(&shared))),
                }
            }
        }
    }
    let mut subsets = crate::traffic::set(&[crate::traffic::SERVICE, crate::traffic::samples::DESTINATION_RULE]);
    add_canary_service(&mut subsets, &by_subsets(), &selector("abc")).unwrap();
    for object in subsets.values() {
        if let Err(error) = take(&write(object)) {
            wrong.push(format!("subsets: {error}"));
        }
    }
    println!("{taken} objects taken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 100, "only {taken} objects");
}
