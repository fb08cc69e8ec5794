use super::{IdMap, InvalidIdMap, Range};

fn range(inside: u32, outside: u32, length: u32) -> Range {
    Range {
        inside,
        outside,
        length,
    }
}

#[test]
fn ids_are_looked_up_in_their_range() {
    let map = IdMap::new(vec![range(0, 1000, 1), range(1, 100_000, 65_535)]).unwrap();
    for (outside, inside) in [
        (1000, Some(0)),
        (1001, None),
        (999, None),
        (100_000, Some(1)),
        (165_534, Some(65_535)),
        (165_535, None),
        (0, None),
    ] {
        assert_eq!(map.inside(outside), inside, "{outside}");
        assert_eq!(
            inside.and_then(|inside| map.outside(inside)),
            inside.map(|_| outside)
        );
    }
    for id in [0, 1, 4_294_967_294] {
        assert_eq!(IdMap::identity().inside(id), Some(id));
        assert_eq!(IdMap::identity().outside(id), Some(id));
    }
    assert_eq!(
        IdMap::identity().inside(u32::MAX),
        None,
        "it means \"leave it\""
    );
}

#[test]
fn ranges_that_overlap_are_no_map() {
    for ranges in [
        vec![range(0, 1000, 2), range(1, 2000, 1)],
        vec![range(0, 1000, 2), range(5, 1001, 1)],
        vec![range(0, 1000, 0)],
        vec![range(0, u32::MAX, 1)],
        vec![range(u32::MAX - 1, 0, 2)],
    ] {
        assert_eq!(IdMap::new(ranges), Err(InvalidIdMap));
    }
    assert!(IdMap::new(vec![]).is_ok());
}
