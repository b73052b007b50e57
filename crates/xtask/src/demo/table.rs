//! The table, as a person reads it.

use comfy_table::{Attribute, Cell, Color, Table, presets::UTF8_FULL_CONDENSED};

use super::{
    row::{Outcome, Row},
    workload::name,
};

const HEADER: [&str; 5] = ["what", "family", "from", "to", "result"];

/// Rows in their order; red ones tell what was seen.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(HEADER);
    for row in rows {
        let check = &row.check;
        table.add_row([
            Cell::new(check.way.describe()),
            Cell::new(name(check.family)),
            Cell::new(check.place.describe()),
            Cell::new(&check.target),
            verdict(&row.outcome),
        ]);
    }
    table
}

fn verdict(outcome: &Outcome) -> Cell {
    match outcome {
        Outcome::Green { tries: 1 } => Cell::new("ok").fg(Color::Green),
        Outcome::Green { tries } => Cell::new(format!("ok, try {tries}")).fg(Color::Green),
        Outcome::Red { seen } => Cell::new(format!("FAILED: {seen}"))
            .fg(Color::Red)
            .add_attribute(Attribute::Bold),
    }
}

#[cfg(test)]
mod tests {
    use model::IpFamily;

    use super::*;
    use crate::demo::check::{Check, Place, Way};

    #[test]
    fn a_red_row_tells_what_was_seen() {
        let row = |outcome| Row {
            check: Check {
                way: Way::Outside,
                family: IpFamily::V6,
                place: Place::Pod("client".to_owned()),
                target: "2001:db8::1".to_owned(),
                command: Vec::new(),
                expected: Vec::new(),
            },
            outcome,
        };
        let seen = "no answer in time".to_owned();
        let text = table(&[row(Outcome::Green { tries: 1 }), row(Outcome::Red { seen })]);
        let text = text.to_string();
        assert!(text.contains("FAILED: no answer in time"), "{text}");
        assert!(text.lines().any(|line| line.contains(" ok ")), "{text}");
    }
}
