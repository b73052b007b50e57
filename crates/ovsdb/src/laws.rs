//! Laws of the wire form.

use proptest::prelude::*;

use crate::{Atom, BaseType, Datum, Max, Row, Schema, Uuid};

fn atom() -> impl Strategy<Value = Atom> {
    prop_oneof![
        any::<i64>().prop_map(Atom::from),
        // servers keep 15 digits of a real
        any::<i32>().prop_map(|eighths| Atom::from(f64::from(eighths) / 8.0)),
        any::<bool>().prop_map(Atom::from),
        any::<String>().prop_map(Atom::from),
        any::<u128>().prop_map(|uuid| Atom::from(Uuid::from_u128(uuid))),
        "[a-z_][a-z0-9_]*".prop_map(Atom::NamedUuid),
    ]
}

fn datum() -> impl Strategy<Value = Datum> {
    prop_oneof![
        proptest::collection::btree_set(atom(), 0..5).prop_map(Datum::Set),
        proptest::collection::btree_map(atom(), atom(), 0..5).prop_map(Datum::Map),
    ]
}

/// JSON of any shape, with the words of the wire form among its strings.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop_oneof![
        Just("set".to_owned()),
        Just("map".to_owned()),
        Just("uuid".to_owned()),
        Just("named-uuid".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        word.prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec(("[a-z]{1,3}", inner), 0..4)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_datum_is_read_as_it_was_printed(datum in datum()) {
        let text = serde_json::to_string(&datum).unwrap();
        prop_assert_eq!(serde_json::from_str::<Datum>(&text).unwrap(), datum);
    }

    #[test]
    fn a_row_is_read_as_it_was_printed(
        columns in proptest::collection::btree_map("[a-z]{1,4}", datum(), 0..4),
    ) {
        let row = Row(columns);
        let text = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }

    #[test]
    fn any_text_is_a_datum_or_an_error(text in any::<String>()) {
        drop(serde_json::from_str::<Datum>(&text));
        drop(serde_json::from_str::<Schema>(&text));
    }

    #[test]
    fn any_json_that_is_a_datum_prints_as_a_datum(json in json()) {
        if let Ok(datum) = serde_json::from_str::<Datum>(&json.to_string()) {
            let text = serde_json::to_string(&datum).unwrap();
            prop_assert_eq!(serde_json::from_str::<Datum>(&text).unwrap(), datum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Datum> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn the_forms_of_the_rfc_are_read() {
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        assert_eq!(read("7"), Some(Datum::from(7)));
        assert_eq!(read("7.5"), Some(Datum::from(7.5)));
        assert_eq!(
            read("1.4470522833124865e-301"),
            Some(Datum::from(1.447_052_283_312_486_5e-301))
        );
        assert_eq!(read(r#""a""#), Some(Datum::from("a")));
        assert_eq!(read(r#"["set",[]]"#), Some(Datum::empty()));
        assert_eq!(read(r#"["set",["a"]]"#), read(r#""a""#));
        assert_eq!(
            read(&format!(r#"["uuid","{uuid}"]"#)).unwrap().as_uuid(),
            uuid.parse().ok()
        );
        assert_eq!(
            read(r#"["named-uuid","r1"]"#),
            Some(Datum::named_uuid("r1"))
        );
        assert_eq!(
            read(r#"["map",[["k","v"]]]"#),
            Some(Datum::map([("k", "v")]))
        );
    }

    #[test]
    fn what_is_no_datum_is_refused() {
        let deep = "[".repeat(100_000);
        for text in [
            "null",
            "{}",
            "[]",
            r#"["set"]"#,
            r#"["set",1]"#,
            r#"["set",[["set",[]]]]"#,
            r#"["map",[["k"]]]"#,
            r#"["map",[["k","v","w"]]]"#,
            r#"["uuid","x"]"#,
            r#"["uuid","550e8400-e29b-41d4-a716-446655440000",1]"#,
            r#"["other",[]]"#,
            "18446744073709551615",
            &deep,
        ] {
            assert_eq!(read(text), None, "{text:.40}");
        }
    }

    #[test]
    fn a_schema_is_read_in_all_its_notations() {
        let schema = Schema::parse(
            r#"{"name": "D", "version": "1.0.0", "cksum": "1 2", "tables": {"T": {
                "isRoot": true, "maxRows": 1, "indexes": [["a"]],
                "columns": {
                    "a": {"type": "string", "mutable": false},
                    "b": {"type": {"key": {"type": "string", "enum": ["set", ["x", "y"]]},
                                   "min": 0}},
                    "c": {"type": {"key": {"type": "uuid", "refTable": "T", "refType": "weak"},
                                   "min": 0, "max": "unlimited"}, "ephemeral": true},
                    "d": {"type": {"key": "string", "value": {"type": "integer", "minInteger": 1},
                                   "min": 0, "max": 4}}
                }}}}"#,
        )
        .unwrap();
        let kind = |column| &schema.column("T", column).unwrap().kind;
        let table = schema.table("T").unwrap();
        assert!(table.is_root && table.max_rows == Some(1));
        assert!(kind("a").is_scalar() && !table.columns["a"].mutable);
        assert!(kind("b").is_optional());
        assert_eq!(
            kind("b")
                .key
                .enumeration
                .as_ref()
                .map(std::collections::BTreeSet::len),
            Some(2)
        );
        assert!(table.columns["c"].ephemeral && kind("c").max == Max::Unlimited);
        assert!(kind("d").is_map() && kind("d").max == Max::Count(4));
        assert_eq!(
            kind("d")
                .value
                .as_ref()
                .and_then(|value: &BaseType| value.min_integer),
            Some(1)
        );
    }

    #[test]
    fn default_values_are_recognised() {
        let schema = Schema::parse(
            r#"{"name": "D", "tables": {"T": {"columns": {
                "scalar": {"type": "integer"},
                "optional": {"type": {"key": "integer", "min": 0}}}}}}"#,
        )
        .unwrap();
        let kind = |column| &schema.column("T", column).unwrap().kind;
        assert!(kind("scalar").is_default(&Datum::from(0)));
        assert!(!kind("optional").is_default(&Datum::from(0)));
        assert!(kind("optional").is_default(&Datum::empty()));
        for column in ["scalar", "optional"] {
            assert!(kind(column).is_default(&kind(column).default_datum()));
        }
    }
}
