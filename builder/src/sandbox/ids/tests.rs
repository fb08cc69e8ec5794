use super::*;

#[test]
fn a_range_maps_both_ways_and_nothing_beyond() {
    let map = SandboxIds::range(100_000, 65_536).unwrap();
    assert_eq!(map.outside(0), Some(100_000));
    assert_eq!(map.outside(65_535), Some(165_535));
    assert_eq!(map.outside(65_536), None);
    assert_eq!(map.map().inside(101_001), Some(1001));
    assert_eq!(map.map().inside(0), None);
    assert_eq!(map.lines(), "0 100000 65536\n");
}

#[test]
fn the_hosts_root_is_never_mapped() {
    assert_eq!(SandboxIds::range(0, 65_536), Err(InvalidIds::OutOfRange));
    assert_eq!(
        SandboxIds::range(u32::MAX - 2, 9),
        Err(InvalidIds::OutOfRange)
    );
    assert_eq!(SandboxIds::range(5, 1), Err(InvalidIds::TooSmall));
}
