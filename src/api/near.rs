//! "Did you mean …?"

/// The candidate that was most likely meant by `written`: the nearest within a third of its length, by the number of
/// characters added, removed, replaced or swapped with their neighbour. Case does not count.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody means a short name by a very long one, and the distance costs the product of the lengths.
    if written.len() > 100 {
        return None;
    }
    let written = written.to_lowercase();
    let limit = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&written, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The hint for a name that is not known: the nearest one, or the whole list where it is short.
pub(crate) fn hint<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(written, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    (1..=12).contains(&candidates.len()).then(|| format!("known here: {}", candidates.join(", ")))
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let (mut before, mut row) = (Vec::new(), (0..=right.len()).collect::<Vec<usize>>());
    let mut last = None;
    for (line, one) in left.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let replace = at(&row, column) + usize::from(one != *other);
            let mut best = replace.min(at(&row, column + 1) + 1).min(at(&next, column) + 1);
            let crossed = column > 0 && last == Some(*other) && right.get(column - 1) == Some(&one);
            if crossed {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(one);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("steps", "steps"), 0);
        assert_eq!(distance("stpes", "steps"), 1);
        assert_eq!(distance("step", "steps"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
