use super::*;

const NODE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));

#[tokio::test]
async fn a_few_of_an_address_have_their_turn_and_others_are_not_held_up() {
    let turns = Arc::new(Turns::default());
    let places: Vec<_> = (0..=AT_ONCE).map(|_| turns.enter(NODE).unwrap()).collect();
    let mut let_in = Vec::new();
    for place in &places[..AT_ONCE] {
        let_in.push(place.turn().await);
    }
    let soon = Duration::from_millis(10);
    let last = &places[AT_ONCE];
    assert!(tokio::time::timeout(soon, last.turn()).await.is_err());
    assert!(turns.enter(OTHER).unwrap().turn().await.is_some());
    let_in.pop();
    assert!(last.turn().await.is_some());
}

#[test]
fn a_line_is_so_long_and_leaves_nothing_behind() {
    let turns = Arc::new(Turns::default());
    let mut places: Vec<_> = (0..AT_ONCE + WAITING)
        .map(|_| turns.enter(NODE).unwrap())
        .collect();
    assert!(matches!(turns.enter(NODE), Err(Refusal::Throttled { .. })));
    assert!(turns.enter(OTHER).is_ok());
    places.pop();
    let again = turns.enter(NODE).unwrap();
    drop((places, again));
    assert!(turns.lock().is_empty());
}
