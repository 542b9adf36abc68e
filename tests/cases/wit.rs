//! The contract of rollout policies is valid WIT, explains itself and gives a policy no powers.

use std::fs;
use std::path::PathBuf;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Docs, Interface, Resolve, Type, TypeDef, TypeDefKind, WorldItem};

use crate::support::root;

/// The contract, and its only interface.
fn contract() -> (Resolve, Interface) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).expect("valid WIT");
    let package = &resolve.packages[package];
    assert_eq!(package.name.to_string(), "whittle:rollout-policy@0.1.0");
    let interfaces: Vec<_> = package.interfaces.keys().collect();
    assert_eq!(interfaces, ["policy"]);
    let interface = resolve.interfaces[package.interfaces["policy"]].clone();
    (resolve, interface)
}

#[test]
fn the_policy_world_exports_one_interface_and_imports_nothing() {
    let (resolve, _) = contract();
    let worlds: Vec<_> = resolve.worlds.iter().map(|(_, world)| world).collect();
    let [world] = worlds[..] else { panic!("one world") };
    assert_eq!(world.name, "rollout-policy");
    assert_eq!(world.imports.len(), 0, "a policy has no powers");
    assert_eq!(world.exports.len(), 1);
    assert!(matches!(world.exports.values().next(), Some(WorldItem::Interface { .. })));
}

#[test]
fn the_interface_has_the_three_functions_of_the_contract() {
    let (_, interface) = contract();
    let functions: Vec<_> = interface.functions.keys().collect();
    assert_eq!(functions, ["describe", "plan", "evaluate"]);
}

/// `u64` and `s64` are no plain numbers in JavaScript.
#[test]
fn no_number_is_wider_than_a_double_holds() {
    let source = fs::read_to_string(root().join("wit/policy.wit")).expect("it exists");
    let words: Vec<_> = source.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    assert!(!words.contains(&"u64") && !words.contains(&"s64"));
}

/// Every type, field, case and function says what it is.
#[test]
fn everything_in_the_contract_is_documented() {
    let (resolve, interface) = contract();
    let mut undocumented = Vec::new();
    let mut seen = 0;
    let mut look = |name: String, docs: &Docs| {
        seen += 1;
        if docs.contents.as_ref().is_none_or(|text| text.trim().is_empty()) {
            undocumented.push(name);
        }
    };
    for (name, id) in &interface.types {
        let definition = &resolve.types[*id];
        look(name.clone(), &definition.docs);
        let members: Vec<(&String, &Docs)> = match &definition.kind {
            TypeDefKind::Record(record) => {
                record.fields.iter().map(|field| (&field.name, &field.docs)).collect()
            }
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().map(|case| (&case.name, &case.docs)).collect()
            }
            TypeDefKind::Enum(cases) => {
                cases.cases.iter().map(|case| (&case.name, &case.docs)).collect()
            }
            _ => Vec::new(),
        };
        for (member, docs) in members {
            look(format!("{name}.{member}"), docs);
        }
    }
    for (name, function) in &interface.functions {
        look(name.clone(), &function.docs);
    }
    assert_eq!(undocumented, Vec::<String>::new());
    assert!(seen > 150, "only {seen} names were looked at");
}

/// What hosts compare: a type without its comments. Named types are looked into where they are defined.
fn shape(resolve: &Resolve, of: &Type) -> String {
    let Type::Id(id) = of else { return format!("{of:?}") };
    match &resolve.types[*id] {
        TypeDef { kind: TypeDefKind::Type(alias), .. } => shape(resolve, alias),
        TypeDef { name: Some(name), .. } => name.clone(),
        anonymous => definition(resolve, anonymous),
    }
}

fn definition(resolve: &Resolve, of: &TypeDef) -> String {
    let shape = |of: &Type| shape(resolve, of);
    let maybe = |of: &Option<Type>| of.as_ref().map_or("-".to_owned(), shape);
    match &of.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| (&field.name, shape(&field.ty)));
            format!("record {:?}", fields.collect::<Vec<_>>())
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| (&case.name, maybe(&case.ty)));
            format!("variant {:?}", cases.collect::<Vec<_>>())
        }
        TypeDefKind::Enum(cases) => {
            format!("enum {:?}", cases.cases.iter().map(|case| &case.name).collect::<Vec<_>>())
        }
        TypeDefKind::Option(inner) => format!("option<{}>", shape(inner)),
        TypeDefKind::List(inner) => format!("list<{}>", shape(inner)),
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err))
        }
        TypeDefKind::Type(alias) => shape(alias),
        other => panic!("{other:?} has no place in the contract"),
    }
}

/// Name and shape of every type and function.
fn shapes(resolve: &Resolve, interface: &Interface) -> Vec<(String, String)> {
    let types = interface.types.iter();
    let types = types.map(|(name, id)| (name.clone(), definition(resolve, &resolve.types[*id])));
    let functions = interface.functions.iter().map(|(name, function)| {
        let parameters = function.params.iter().map(|parameter| shape(resolve, &parameter.ty));
        let result = function.result.as_ref().map(|result| shape(resolve, result));
        (name.clone(), format!("{:?} -> {result:?}", parameters.collect::<Vec<_>>()))
    });
    types.chain(functions).collect()
}

/// A field more, and components that are out there no longer load.
#[test]
fn the_contract_still_has_everything_that_was_released_as_it_was() {
    let (resolve, interface) = contract();
    let now = shapes(&resolve, &interface);
    for (path, bytes) in components("fixtures/policies") {
        let Ok(DecodedWasm::Component(resolve, world)) = decode(&bytes) else {
            panic!("{} is no component", path.display());
        };
        let Some(WorldItem::Interface { id, .. }) = resolve.worlds[world].exports.values().next()
        else {
            panic!("{} exports no interface", path.display());
        };
        let released = shapes(&resolve, &resolve.interfaces[*id]);
        assert!(released.len() > 30, "{released:?}");
        for one in released {
            assert!(now.contains(&one), "{} has another `{}`", path.display(), one.0);
        }
    }
}

/// Largest component that is shipped.
const MAX_BYTES: usize = 120_000;

fn components(directory: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(root().join(directory)).expect("it exists");
    let paths = files.map(|file| file.expect("readable").path());
    let components = paths.filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    components.map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
}

#[test]
fn shipped_and_frozen_components_export_the_contract_and_import_nothing() {
    let (shipped, frozen) = (components("policies/dist"), components("fixtures/policies"));
    assert_eq!((shipped.len(), frozen.len()), (7, 1));
    for (path, bytes) in shipped.iter().chain(&frozen) {
        let Ok(DecodedWasm::Component(resolve, world)) = decode(bytes) else {
            panic!("{} is no component", path.display());
        };
        let world = &resolve.worlds[world];
        assert_eq!(world.imports.len(), 0, "{}", path.display());
        let exports: Vec<_> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
        assert_eq!(exports, ["whittle:rollout-policy/policy@0.1.0"], "{}", path.display());
        assert!(bytes.len() <= MAX_BYTES, "{} has {} bytes", path.display(), bytes.len());
    }
}

#[test]
fn no_component_tells_where_it_was_built() {
    for (path, bytes) in components("policies/dist") {
        for place in [
            env!("CARGO_MANIFEST_DIR").trim_end_matches("tests"),
            "/.cargo/registry",
            "/home/",
            "/root/",
        ] {
            let is_there = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!is_there, "`{place}` is in {}", path.display());
        }
    }
}
