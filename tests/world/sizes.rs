//! A change of size in the middle of a release, played with what the engine's arithmetic says of it.

use serde_json::json;
use windlass::render::workload::deployment::{Part, scaled, shared};
use windlass::sim::cluster::Cluster;

use super::kit::{NAMESPACE, Step, key, of, play};

/// Held at what the controller's arithmetic leaves of a smaller size, or at its part of a larger one, both versions come to rest there and
/// no old pod goes too many, in whichever order the controllers take their turns.
#[test]
fn a_held_update_stands_where_its_controller_has_scaled_it_to() {
    for order in [0, 3] {
        for (size, from, to) in [(2, 0, 1), (3, 1, 2), (5, 0, 3), (8, 2, 4), (10, 0, 2), (10, 2, 5), (10, 0, 6), (10, 5, 10)] {
            let mut base = Cluster::new(NAMESPACE);
            base.shuffle(order);
            play(&mut base, "shop", &Step::plain(size, "v1:1"));
            if from > 0 {
                play(&mut base, "shop", &Step::grow(size, "v2:1", 0, from));
                play(&mut base, "shop", &Step::shift(size, "v2:1", from));
            }
            play(&mut base, "shop", &Step::grow(size, "v2:1", from, to));
            play(&mut base, "shop", &Step::shift(size, "v2:1", to));
            for new_size in (1..=14).filter(|new_size| *new_size != size) {
                let new = Part { pods: to, most: size + to - from };
                let updated = if new_size < size {
                    shared(new, Part { pods: size - to, most: size }, new_size)
                } else {
                    scaled(to, size, new_size)
                };
                let mut cluster = base.clone();
                let start = cluster.now() + 1;
                // With nothing updated left, a step begins anew: no old pod may go.
                let bounds = if updated == 0 { (json!(1), json!(0)) } else { (json!(0), json!(updated)) };
                play(&mut cluster, "shop", &Step::held(new_size, "v2:1", bounds.0, bounds.1));
                let rest = (of(&cluster, "shop", "v2:1").0, of(&cluster, "shop", "v1:1").0);
                let expected = if updated == 0 { (1, new_size) } else { (updated, new_size - updated) };
                assert_eq!(rest, expected, "{from} to {to} of {size}, then {new_size} pods");
                let fewest = cluster.timeline().fewest_ready(&key("shop"), start, cluster.now()).unwrap();
                assert!(fewest >= size.min(new_size), "{from} to {to} of {size}, then {new_size} pods: only {fewest} were Ready");
            }
        }
    }
}
