//! Assigns rows to columns so that the sum of their costs is least: the Hungarian method, by shortest augmenting paths
//! (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems", 1987).

use alloc::vec;
use alloc::vec::Vec;

/// A column, with what one search for a path knows of it.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// The row that has it.
    row: Option<usize>,
    price: i64,
    /// How far it is from the row that is looking for a column.
    distance: i64,
    /// The column in front of it on the way there; none if the row itself is.
    before: Option<usize>,
    is_settled: bool,
}

/// The column of each row; there are at least as many columns as rows.
#[allow(clippy::indexing_slicing, reason = "rows and columns are counted here")]
pub(super) fn assign(
    rows: usize,
    columns: usize,
    cost: impl Fn(usize, usize) -> i64,
) -> Vec<usize> {
    let free = Column { row: None, price: 0, distance: 0, before: None, is_settled: false };
    let mut all = vec![free; columns];
    let mut gains = vec![0i64; rows];
    for first in 0..rows {
        for column in &mut all {
            (column.distance, column.before, column.is_settled) = (i64::MAX, None, false);
        }
        // The nearest column is settled each time, until one is free.
        let (mut row, mut last, mut length) = (first, None, 0);
        loop {
            let mut nearest = None;
            for (index, column) in all.iter_mut().enumerate().filter(|(_, known)| !known.is_settled)
            {
                let distance = length + cost(row, index) - gains[row] - column.price;
                if distance < column.distance {
                    (column.distance, column.before) = (distance, last);
                }
                if nearest.is_none_or(|(least, _)| column.distance < least) {
                    nearest = Some((column.distance, index));
                }
            }
            let Some((distance, index)) = nearest else { return Vec::new() };
            (length, last) = (distance, Some(index));
            match all[index].row {
                Some(owner) => (row, all[index].is_settled) = (owner, true),
                None => break,
            }
        }
        for column in all.iter_mut().filter(|column| column.is_settled) {
            let nearer = length - column.distance;
            column.price -= nearer;
            if let Some(row) = column.row {
                gains[row] += nearer;
            }
        }
        gains[first] += length;
        // Everybody on the way moves up to the column in front.
        while let Some(index) = last {
            let before = all[index].before;
            all[index].row = before.map_or(Some(first), |before| all[before].row);
            last = before;
        }
    }
    let mut columns_of = vec![0; rows];
    for (index, column) in all.iter().enumerate() {
        if let Some(row) = column.row {
            columns_of[row] = index;
        }
    }
    columns_of
}

#[cfg(test)]
mod tests {
    use super::assign;

    /// The least sum, found by trying all ways.
    fn least(costs: &[Vec<i64>], taken: u32) -> i64 {
        let Some((first, others)) = costs.split_first() else { return 0 };
        let free = (0..first.len()).filter(|column| taken >> column & 1 == 0);
        free.map(|column| first[column] + least(others, taken | 1 << column)).min().unwrap()
    }

    #[test]
    fn no_other_assignment_costs_less() {
        let mut state = 7u32;
        let mut below = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        for _ in 0..500 {
            let rows = below(6) as usize;
            let columns = rows + below(3) as usize;
            let limit = 1 + below(20);
            let row = |_| (0..columns).map(|_| i64::from(below(limit))).collect::<Vec<_>>();
            let costs: Vec<Vec<i64>> = (0..rows).map(row).collect();
            let found = assign(rows, columns, |row, column| costs[row][column]);
            let mut distinct = found.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!((found.len(), distinct.len()), (rows, rows));
            let sum: i64 = costs.iter().zip(&found).map(|(costs, column)| costs[*column]).sum();
            assert_eq!(sum, least(&costs, 0), "{costs:?}");
        }
    }
}
